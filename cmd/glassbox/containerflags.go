package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"glassbox/cgroups"
	"glassbox/engine"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// containerFlags are the flags that run, create and explain share: all that describe a container.
type containerFlags struct {
	set        *pflag.FlagSet
	process    processFlags
	security   securityFlags
	network    networkFlags
	storage    storageFlags
	health     healthFlags
	resources  resourceFlags
	namespaces namespaceFlags
	name       string
	pull       string
	platform   string
	restart    string
	cidfile    string
	rootfs     string
	isolation  string
	runtime    string
	quiet      bool
	remove     bool
}

func (c *containerFlags) define(f *pflag.FlagSet, pullUsage string) {
	c.set = f
	c.process.define(f)
	c.security.define(f)
	c.network.define(f)
	c.storage.define(f)
	c.health.define(f)
	c.resources.define(f)
	c.namespaces.define(f)
	f.StringVar(&c.name, "name", "", "Assign a name to the container")
	f.StringVar(&c.pull, "pull", "missing", pullUsage)
	f.StringVar(&c.platform, "platform", os.Getenv("DOCKER_DEFAULT_PLATFORM"), "Set platform if server is multi-platform capable")
	f.StringVar(&c.restart, "restart", "no", "Restart policy to apply when a container exits")
	f.StringVar(&c.cidfile, "cidfile", "", "Write the container ID to the file")
	f.StringVar(&c.rootfs, "rootfs", "", "Use a plain directory as root file system instead of an image")
	own(f, "rootfs")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "Suppress the pull output")
	f.BoolVar(&c.remove, "rm", false, "Automatically remove the container and its associated anonymous volumes when it exits")
	f.StringVar(&c.isolation, "isolation", "", "Container isolation technology")
	f.StringVar(&c.runtime, "runtime", "", "Runtime to use for this container")
	f.Bool("disable-content-trust", true, "Skip image verification")
	f.Bool("use-api-socket", false, "Bind mount Docker API socket and required auth")
	_, _ = f.MarkHidden("disable-content-trust"), f.MarkHidden("use-api-socket")
	own(f, "disable-content-trust", "Skip image verification")
	own(f, "use-api-socket", "Bind mount Docker API socket and required auth")
	f.Bool("help", false, "Print usage") // without -h, which is --hostname
}

// options is what the engine is asked for; args are the image (unless --rootfs) and the command.
func (c *containerFlags) options(args []string) (engine.Options, error) {
	o := engine.Options{
		Name: c.name, Platform: c.platform, Pull: c.pull, Quiet: c.quiet, Rootfs: c.rootfs,
		Config:     &container.Config{},
		HostConfig: &container.HostConfig{ContainerIDFile: c.cidfile, AutoRemove: c.remove},
	}
	if c.rootfs == "" {
		o.Config.Image, args = args[0], args[1:]
	}
	if len(args) > 0 {
		o.Config.Cmd = args
	}
	if err := c.apply(&o); err != nil {
		return o, err
	}
	return o, refuse(c.set)
}

func (c *containerFlags) apply(o *engine.Options) error {
	switch c.pull {
	case "always", "missing", "never", "":
	default:
		return fmt.Errorf(`invalid pull option: '%s': must be one of "always", "missing" or "never"`, c.pull)
	}
	policy, err := opts.ParseRestartPolicy(c.restart)
	if err != nil {
		return err
	}
	o.HostConfig.RestartPolicy, o.HostConfig.Runtime, o.HostConfig.Isolation = policy, c.runtime, container.Isolation(c.isolation)
	if c.remove && !policy.IsNone() {
		return errors.New("conflicting options: cannot specify both --restart and --rm")
	}
	if c.security.cgroups && c.namespaces.cgroup == "host" {
		return errors.New("conflicting options: --cgroup-rw and --cgroupns host: the container could write to every group of the host")
	}
	return cmp.Or(
		c.process.apply(c.set, o.Config, o.HostConfig),
		c.security.apply(o.HostConfig),
		c.network.apply(o.Config, o.HostConfig),
		c.storage.apply(o.Config, o.HostConfig),
		c.health.apply(o.Config),
		c.resources.apply(o),
		c.namespaces.apply(o),
		c.network.attach(o),
	)
}

// warnings are Docker's for what a cgroup v2 kernel has no file for, and for name servers that the container cannot reach.
func (c *containerFlags) warnings(h *container.HostConfig) []string {
	var w []string
	if c.resources.swappiness >= 0 {
		w = append(w, "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.")
	}
	if c.resources.oomKillDisable {
		w = append(w, "Your kernel does not support OomKillDisable. OomKillDisable discarded.")
	}
	if local := localhostDNS(h.DNS); local != "" {
		w = append(w, local)
	}
	if f, err := cgroups.Observe(nil); c.security.cgroups && err == nil && f.Mount != "" && !f.NSDelegate {
		w = append(w, "cgroup2 is mounted without nsdelegate: root in the container can lift the limits of the container itself; "+f.Boundary()+" prevents that")
	}
	return w
}
