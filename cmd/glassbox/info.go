package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/go-units"
)

// information is `info`'s document: the engine's, with the client's beside it, as Docker's JSON has them.
type information struct {
	*system.Info
	ClientInfo clientInfo
}

type clientInfo struct {
	Debug bool
	clientVersion
	Plugins  []string
	Warnings []string
}

func infoVerb() verb {
	return verb{
		use: "info [OPTIONS]", same: "system info, info", short: "Display system-wide information", max: 0, group: common,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			return func(ctx context.Context, args []string) error { return c.info(*format) }
		},
	}
}

func (c *call) info(format string) error {
	t, err := infoTemplate("", format, "")
	if err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	i, err := b.info()
	if err != nil {
		return engineFailure(err)
	}
	i2 := information{Info: &i, ClientInfo: clientInfo{clientVersion: newVersions(i).Client, Plugins: []string{}}}
	if format == "" {
		c.printInfo(i2)
		return nil
	}
	return printTemplate(c.stdout, t, i2)
}

func (c *call) printInfo(i information) {
	put(c.stdout, "%s\n", strings.TrimSpace("Client: "+i.ClientInfo.Platform.Name))
	put(c.stdout, " Version:    %s\n Context:    %s\n Debug Mode: %v\n", i.ClientInfo.Version, i.ClientInfo.Context, i.ClientInfo.Debug)
	put(c.stdout, "\nServer:\n Containers: %d\n  Running: %d\n  Paused: %d\n  Stopped: %d\n Images: %d\n",
		i.Containers, i.ContainersRunning, i.ContainersPaused, i.ContainersStopped, i.Images)
	c.fields([][2]string{{"Server Version", i.ServerVersion}, {"Storage Driver", i.Driver}})
	for _, pair := range i.DriverStatus {
		put(c.stdout, "  %s: %s\n", pair[0], pair[1])
	}
	c.fields([][2]string{{"Logging Driver", i.LoggingDriver}, {"Cgroup Driver", i.CgroupDriver}, {"Cgroup Version", i.CgroupVersion}})
	put(c.stdout, " Plugins:\n  Volume: %s\n  Network: %s\n  Log: %s\n",
		strings.Join(i.Info.Plugins.Volume, " "), strings.Join(i.Info.Plugins.Network, " "), strings.Join(i.Info.Plugins.Log, " "))
	c.block("CDI spec directories", i.CDISpecDirs)
	put(c.stdout, " Swarm: %s\n Runtimes: %s\n Default Runtime: %s\n", i.Swarm.LocalNodeState, strings.Join(slices.Sorted(maps.Keys(i.Runtimes)), " "), i.DefaultRuntime)
	put(c.stdout, " Init Binary: %s\n containerd version: %s\n runc version: %s\n init version: %s\n",
		i.InitBinary, i.ContainerdCommit.ID, i.RuncCommit.ID, i.InitCommit.ID)
	c.printSecurity(i.SecurityOptions)
	c.fields([][2]string{
		{"Kernel Version", i.KernelVersion}, {"Operating System", i.OperatingSystem}, {"OSType", i.OSType}, {"Architecture", i.Architecture},
		{"CPUs", fmt.Sprint(i.NCPU)}, {"Total Memory", units.BytesSize(float64(i.MemTotal))}, {"Name", i.Name}, {"ID", i.ID},
		{"Docker Root Dir", i.DockerRootDir}, {"Debug Mode", fmt.Sprint(i.Debug)},
		{"HTTP Proxy", i.HTTPProxy}, {"HTTPS Proxy", i.HTTPSProxy}, {"No Proxy", i.NoProxy},
		{"Username", c.configFile().AuthConfigs[indexServer].Username},
	})
	c.block("Labels", i.Labels)
	c.fields([][2]string{{"Experimental", fmt.Sprint(i.ExperimentalBuild)}})
	c.printRegistries(i.RegistryConfig)
	put(c.stdout, " Live Restore Enabled: %v\n\n", i.LiveRestoreEnabled)
	for _, w := range i.Info.Warnings {
		put(c.stderr, "%s\n", w)
	}
}

func (c *call) printSecurity(options []string) {
	all, err := system.DecodeSecurityOptions(options)
	if err != nil || len(all) == 0 {
		return
	}
	put(c.stdout, " Security Options:\n")
	for _, o := range all {
		put(c.stdout, "  %s\n", o.Name)
		for _, kv := range o.Options {
			if kv.Key == "profile" {
				put(c.stdout, "   Profile: %s\n", kv.Value)
			}
		}
	}
}

func (c *call) printRegistries(r *registry.ServiceConfig) {
	if r == nil {
		return
	}
	var insecure []string
	for _, name := range slices.Sorted(maps.Keys(r.IndexConfigs)) {
		if !r.IndexConfigs[name].Secure {
			insecure = append(insecure, name)
		}
	}
	for _, subnet := range r.InsecureRegistryCIDRs {
		insecure = append(insecure, subnet.String())
	}
	c.block("Insecure Registries", insecure)
	c.block("Registry Mirrors", r.Mirrors)
}

// block prints a heading with a line each below it, if there are any.
func (c *call) block(heading string, lines []string) {
	if len(lines) > 0 {
		put(c.stdout, " %s:\n  %s\n", heading, strings.Join(lines, "\n  "))
	}
}

// fields prints those that have a value.
func (c *call) fields(all [][2]string) {
	for _, f := range all {
		if f[1] != "" {
			put(c.stdout, " %s: %s\n", f[0], f[1])
		}
	}
}

// indexServer is the key under which Docker's config file keeps the credentials for docker.io.
const indexServer = "https://index.docker.io/v1/"
