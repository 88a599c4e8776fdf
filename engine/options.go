package engine

import (
	"io"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// Options is what `create` and `run` ask for: Docker's own types, and what only glassbox has.
type Options struct {
	Name             string
	Config           *container.Config
	HostConfig       *container.HostConfig
	NetworkingConfig *network.NetworkingConfig
	Platform         string
	Pull             string            // always, missing, never
	Quiet            bool              // no pull progress
	Progress         io.Writer         // pull progress and "Unable to find image ... locally"
	Terminal         bool              // Progress is a terminal
	UsernsMap        []string          // --userns UID:HOST:SIZE; HostConfig.UsernsMode holds host, auto or empty
	TimeOffset       map[string]int64  // --time-offset monotonic=SECONDS, boottime=SECONDS
	Cgroup           map[string]string // --cgroup FILE=VALUE: files of the container's group, and what is written to them line by line
	Rootfs           string            // --rootfs DIR: a plain directory instead of an image
	Explain          bool              // keep what was asked of the kernel, with times
	Without          string            // for experiments: a mechanism that the start leaves out, pivot_root, propagation or mount; a program in the container reaches the host by it

	step *StepOptions // it is a build's
}
