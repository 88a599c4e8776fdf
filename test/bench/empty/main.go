// Command empty does nothing: what a Go program costs that does.
package main

func main() {}
