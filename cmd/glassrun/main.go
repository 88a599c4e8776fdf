// Command glassrun is the OCI runtime and the monitor that stays with one container.
//
// A monitor needs one processor, whatever its cgroup says, so Go is told not to keep two descriptors open to follow that.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import "os"

func main() { os.Exit(run(os.Args[1:])) }
