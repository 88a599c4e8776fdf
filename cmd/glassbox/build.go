package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"glassbox/dockerfile"
	"glassbox/progress"
	"glassbox/source"
)

func buildVerb() verb {
	return verb{
		use: "build [OPTIONS] PATH | URL | -", same: "image build, build, builder build, buildx build",
		short: "Build an image from a Dockerfile", min: 1, max: 1, group: common,
		prepare: func(c *call) action {
			var f buildFlags
			f.define(c.flags)
			return func(ctx context.Context, args []string) error { return c.build(ctx, &f, args[0]) }
		},
	}
}

func (c *call) build(ctx context.Context, f *buildFlags, where string) error {
	o, err := f.options(c.buildProxies)
	if err != nil {
		return err
	}
	if err := checkExplain(f.explain, f.format); err != nil {
		return badRequest("build", err)
	}
	mode, err := f.mode()
	if err != nil {
		return err
	}
	if modern(mode) && !o.Keep {
		o.ForceRemove = true // nothing of what BuildKit prints tells of a container that stays
	}
	if err := c.outputs(f, &o); err != nil {
		return plainFailure("%w", err)
	}
	if modern(mode) && !o.Keep {
		o.ForceRemove = true // BuildKit leaves no container of a RUN that failed
	}
	if toStdout(o) {
		c.stdout = c.stderr
	}
	if f.file == "-" && where == "-" {
		return plainFailure("invalid argument: can't use stdin for both build context and dockerfile")
	}
	if f.iidfile != "" { // a stale one must not be left, should the build fail
		if err := os.Remove(f.iidfile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return plainFailure("Removing image ID file: %w", err)
		}
	}
	w, err := progress.New(mode, c.stdout, c.stderr)
	if err != nil {
		return plainFailure("%w", err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	if f.explain {
		o.Account = &dockerfile.Account{}
	}
	c.beside = progress.Beside(w, c.stderr)
	result, err := c.buildIn(ctx, b.builds, o, f, where, w)
	err = w.Close(result, err)
	c.beside = c.stderr
	if f.explain {
		if e := writeBuildAccount(c.stderr, o.Account, f.format); err == nil {
			err = e
		}
	}
	if err != nil {
		return buildFailure(ctx, err, modern(mode))
	}
	if f.iidfile != "" {
		if err := os.WriteFile(f.iidfile, []byte(result.Image), 0o666); err != nil {
			return plainFailure("%w", err)
		}
	}
	if f.metadata != "" {
		if err := writeMetadata(f.metadata, result); err != nil {
			return plainFailure("%w", err)
		}
	}
	return nil
}

// explainBuild tells what a build would do, and does nothing of it.
func (c *call) explainBuild(ctx context.Context, args []string) error {
	v := buildVerb()
	v.use = "explain build [OPTIONS] PATH | URL | -"
	v.prepare = func(c *call) action {
		var f buildFlags
		f.define(c.flags)
		return func(ctx context.Context, args []string) error { return c.planBuild(ctx, &f, args[0]) }
	}
	return c.invoke(ctx, c.name+" explain", v, args)
}

func (c *call) planBuild(ctx context.Context, f *buildFlags, where string) error {
	o, err := f.options(c.buildProxies)
	if err != nil {
		return err
	}
	if err := checkExplain(true, f.format); err != nil {
		return badRequest("explain build", err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	silent, err := progress.New("quiet", io.Discard, io.Discard)
	if err != nil {
		return err
	}
	f.quiet, o.Plan, o.Account = true, true, &dockerfile.Account{}
	if _, err := c.buildIn(ctx, b.builds, o, f, where, silent); err != nil {
		return buildFailure(ctx, err, false)
	}
	return writeBuildAccount(c.stdout, o.Account, f.format)
}

// buildIn opens the context, and builds.
func (c *call) buildIn(ctx context.Context, b builds, o dockerfile.Options, f *buildFlags, where string, w progress.Watcher) (result progress.Result, err error) {
	work, err := b.Begin()
	if err != nil {
		return result, engineFailure(err)
	}
	defer func() { err = errors.Join(err, work.End()) }()
	told := c.stdout
	if f.quiet {
		told = io.Discard
	}
	files, err := source.Open(ctx, where, source.Options{Dockerfile: f.file, In: c.stdin, Temp: work.Dir, Told: told})
	if err != nil {
		return result, plainFailure("%w", err)
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	o.Context, o.Work = files, work
	return b.Build(ctx, o, w)
}

// buildProxies adds the proxies of Docker's config file to the arguments.
func (c *call) buildProxies(args map[string]*string) map[string]*string {
	return c.configFile().ParseProxyConfig("default", args)
}

// buildFailure tells why a build has ended. A RUN's code is the command's own, but in BuildKit's words.
func buildFailure(ctx context.Context, err error, modern bool) error {
	if ctx.Err() != nil {
		return err
	}
	var known *failure
	var begun *dockerfile.Failure
	var exited *dockerfile.Exited
	f := &failure{cause: err, line: err.Error(), docker: err.Error(), code: 1}
	switch {
	case modern:
		f.docker = "ERROR: " + f.docker
		return f
	case errors.As(err, &known):
		return known
	case errors.As(err, &begun) && !begun.Begun:
		return engineFailure(err)
	case errors.As(err, &exited):
		f.code = exited.Code
	}
	return f
}
