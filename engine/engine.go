// Package engine is the use cases: one small type per noun, called by the CLI and by the API alike.
package engine

import (
	"sync"

	"glassbox/cgroups"
	"glassbox/image"
	"glassbox/monitor"
	"glassbox/store"
)

// Engine opens the data and run directories and hands out the nouns. It holds no state beyond them: each command is a
// process of its own, and what several do at once is ordered by file locks.
type Engine struct {
	Containers *Containers
	Images     *image.Store
	Networks   *Networks
	Volumes    *Volumes
	Builds     *Builds
	System     *System
}

// Open uses the directories named by GLASSBOX_ROOT and GLASSBOX_RUN, or /var/lib/glassbox and /run/glassbox. It asks
// the disk for nothing yet.
func Open() (*Engine, error) {
	root := store.Open()
	images := image.Open(root.Images())
	containers := &Containers{root: root, images: images}
	images.InUse, images.Tell, images.Glassrun = containers.user, containers.tellAll, glassrun
	containers.networks = &Networks{root: root, containers: containers}
	containers.volumes = &Volumes{root: root, containers: containers}
	return &Engine{Containers: containers, Images: images, Networks: containers.networks, Volumes: containers.volumes, Builds: &Builds{root: root, containers: containers}, System: &System{root: root, containers: containers, images: images}}, nil
}

// Containers is everything that can be done with containers. A container is named by full id, unique prefix, or name.
type Containers struct {
	root     store.Root
	images   *image.Store
	networks *Networks
	volumes  *Volumes

	// Warn is told of damaged documents that were set aside; may be nil.
	Warn func(message string)
	// Command is what acts, for the journal's notes of who sent a signal: "glassbox stop"; may be empty.
	Command string
	// Step is asked before each request that a start, exec or stop of this process makes of the kernel; nil: nobody is asked.
	Step Stepper
	// Explain has the starts of this process leave an account, of containers too that were made without Options.Explain.
	Explain bool

	observe  sync.Once
	facts    cgroups.Facts
	factsErr error

	mu       sync.Mutex
	warm     *launched                  // the monitor that Warm has started, for the next start
	promises map[string]*monitor.Client // containers that this process will clean up
}

func (c *Containers) warn(message string) {
	if c.Warn != nil {
		c.Warn(message)
	}
}
