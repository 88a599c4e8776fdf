package main

// cleanupVerb is what a monitor runs as its last act when a container ended by itself.
func cleanupVerb() verb {
	v := eachContainer(verb{
		use: "cleanup CONTAINER [CONTAINER...]", short: "Do what is due after a container ended (run by its monitor)", hidden: true,
	}, func(b *backend, name string) error { return b.containers.Cleanup(name) })
	v.group = ""
	return v
}
