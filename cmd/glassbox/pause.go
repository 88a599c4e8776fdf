package main

func pauseVerb() verb {
	return eachContainer(verb{
		use: "pause CONTAINER [CONTAINER...]", same: "container pause, pause",
		short: "Pause all processes within one or more containers",
	}, func(b *backend, name string) error { return b.containers.Pause(name) })
}

func unpauseVerb() verb {
	return eachContainer(verb{
		use: "unpause CONTAINER [CONTAINER...]", same: "container unpause, unpause",
		short: "Unpause all processes within one or more containers",
	}, func(b *backend, name string) error { return b.containers.Unpause(name) })
}
