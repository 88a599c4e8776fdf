package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"glassbox/engine"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/opts"
	"github.com/moby/term"
)

func createVerb() verb {
	return verb{
		use: "create [OPTIONS] IMAGE [COMMAND] [ARG...]", same: "container create, create",
		short: "Create a new container", min: 1, max: -1, bare: true, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			var flags containerFlags
			flags.define(c.flags, `Pull image before creating ("always", "|missing", "never")`)
			return func(ctx context.Context, args []string) error {
				id, err := c.create(ctx, "create", &flags, args)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.stdout, id)
				return nil
			}
		},
	}
}

// create makes the container of `create`; its engine errors carry no hint at --help and end with 1, as Docker's do.
func (c *call) create(ctx context.Context, command string, flags *containerFlags, args []string) (string, error) {
	o, err := c.request(command, flags, args)
	if err != nil {
		return "", err
	}
	id, err := c.createContainer(ctx, flags, o)
	return id, engineFailure(err)
}

// request turns flags and arguments into what the engine is asked for.
func (c *call) request(command string, flags *containerFlags, args []string) (engine.Options, error) {
	if err := refuseWindows(flags.set); err != nil {
		return engine.Options{}, err
	}
	o, err := flags.options(args)
	if err != nil {
		return o, badRequest(command, err)
	}
	o.Config.Env = withProxies(c.configFile(), o.Config.Env)
	o.Progress, o.Terminal = c.stderr, isTerminal(c.stderr)
	if o.Quiet {
		o.Progress = io.Discard
	}
	if size, ok := windowSize(c.stdout); ok {
		o.HostConfig.ConsoleSize = [2]uint{uint(size.Rows), uint(size.Cols)}
	}
	return o, nil
}

// createContainer asks the engine, prints its warnings and writes the --cidfile.
func (c *call) createContainer(ctx context.Context, flags *containerFlags, o engine.Options) (string, error) {
	cid, err := openCIDFile(flags.cidfile)
	if err != nil {
		return "", err
	}
	defer cid.close()
	if o.Config.Image != "" {
		if _, err := reference.ParseAnyReference(o.Config.Image); err != nil {
			return "", plainFailure("%w", err)
		}
	}
	if o.Platform != "" {
		if _, err := platforms.Parse(o.Platform); err != nil {
			return "", plainFailure("error parsing specified platform: %w", err)
		}
	}
	b, err := c.backend()
	if err != nil {
		return "", err
	}
	created, err := b.containers.Create(ctx, o)
	if err != nil {
		return "", err
	}
	for _, w := range append(created.Warnings, flags.warnings(o.HostConfig)...) {
		fmt.Fprintln(c.stderr, "WARNING:", w)
	}
	return created.ID, cid.write(created.ID)
}

// withProxies adds the proxy variables of Docker's config file that the command line does not set.
func withProxies(f *configfile.ConfigFile, env []string) []string {
	given := opts.ConvertKVStringsToMapWithNil(env)
	all := f.ParseProxyConfig("default", opts.ConvertKVStringsToMapWithNil(env)) // which it adds to
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, set := given[name]; !set && all[name] != nil {
			env = append(env, name+"="+*all[name])
		}
	}
	return env
}

// cidFile receives the container's id; when none was made, it is removed again.
type cidFile struct {
	f       *os.File
	written bool
}

func openCIDFile(path string) (*cidFile, error) {
	if path == "" {
		return &cidFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil, plainFailure("container ID file found, make sure the other container isn't running or delete %s", path)
	}
	if err != nil {
		return nil, plainFailure("failed to create the container ID file: %w", err)
	}
	return &cidFile{f: f}, nil
}

func (c *cidFile) write(id string) error {
	if c.f == nil {
		return nil
	}
	if _, err := c.f.WriteString(id); err != nil {
		return plainFailure("failed to write the container ID to the file: %w", err)
	}
	c.written = true
	return nil
}

func (c *cidFile) close() {
	if c.f == nil {
		return
	}
	_ = c.f.Close()
	if !c.written {
		_ = os.Remove(c.f.Name())
	}
}

// windowSize is the size of the terminal that stream is, if it is one.
func windowSize(stream any) (engine.Size, bool) {
	fd, is := term.GetFdInfo(stream)
	if !is {
		return engine.Size{}, false
	}
	ws, err := term.GetWinsize(fd)
	if err != nil {
		return engine.Size{}, false
	}
	return engine.Size{Rows: ws.Height, Cols: ws.Width}, true
}
