package main

import (
	"context"
	"errors"

	"glassbox/engine"

	"github.com/docker/cli/opts"
)

// execFlags are exec's.
type execFlags struct {
	engine.ExecOptions
	tellFlags
	env, envFile opts.ListOpts
	stdin        bool
	keys         string
	record       *recorder // nil: nobody records
}

func execVerb() verb { return recordedExec(nil) }

// recordedExec is exec with somebody who looks on; nil: nobody does.
func recordedExec(r *recorder) verb {
	return verb{
		use: "exec [OPTIONS] CONTAINER COMMAND [ARG...]", same: "container exec, exec",
		short: "Execute a command in a running container", min: 2, max: -1, bare: true, group: common, offers: offerContainers,
		prepare: func(c *call) action {
			f := execFlags{record: r, env: opts.NewListOpts(opts.ValidateEnv), envFile: opts.NewListOpts(nil)}
			c.flags.StringVar(&f.keys, "detach-keys", "", "Override the key sequence for detaching a container")
			c.flags.BoolVarP(&f.stdin, "interactive", "i", false, "Keep STDIN open even if not attached")
			c.flags.BoolVarP(&f.Tty, "tty", "t", false, "Allocate a pseudo-TTY")
			c.flags.BoolVarP(&f.Detach, "detach", "d", false, "Detached mode: run command in the background")
			c.flags.StringVarP(&f.User, "user", "u", "", `Username or UID (format: "<name|uid>[:<group|gid>]")`)
			c.flags.BoolVar(&f.Privileged, "privileged", false, "Give extended privileges to the command")
			c.flags.VarP(&f.env, "env", "e", "Set environment variables")
			c.flags.Var(&f.envFile, "env-file", "Read in a file of environment variables")
			c.flags.StringVarP(&f.WorkingDir, "workdir", "w", "", "Working directory inside the container")
			f.define(c.flags, "start the command", "enter", "start")
			return func(ctx context.Context, args []string) error { return c.exec(ctx, &f, args[0], args[1:]) }
		},
	}
}

func (c *call) exec(ctx context.Context, f *execFlags, name string, command []string) error {
	if err := f.complete(command); err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	i, err := b.containers.Inspect(name, false)
	if err != nil { // a missing container is the more useful error
		return engineFailure(err)
	}
	if err := c.checkTTY(f.AttachStdin, f.Tty); err != nil {
		return err
	}
	if size, ok := windowSize(c.stdout); ok && f.Tty {
		f.ConsoleSize = &[2]uint{uint(size.Rows), uint(size.Cols)}
	}
	if err := c.stepping(&f.step); err != nil {
		return badRequest("exec", err)
	}
	defer f.step.finish()
	w := wiring{stdin: f.AttachStdin, stdout: f.AttachStdout, stderr: f.AttachStderr, tty: f.Tty, keys: f.keys, exec: true}
	streams, done, err := c.connect(w)
	if err != nil {
		return err
	}
	defer done()
	f.record.begin(&f.Explain, f.Tty)
	f.record.tee(&streams)
	a, account, err := b.containers.Exec(ctx, name, f.ExecOptions, streams)
	f.step.finish()
	f.record.asked(account)
	if f.explain && account != nil {
		if err := c.writeAccount(c.stderr, account, f.format); err != nil {
			return err
		}
	}
	if err != nil {
		return execFailure(err)
	}
	if a == nil {
		return nil
	}
	f.record.look(i.ID, "the container with the command in it")
	code, err := c.follow(ctx, a, w)
	f.record.left(i.ID, code, err)
	return ended(code, err)
}

// complete fills in what the flags' values do not say directly.
func (f *execFlags) complete(command []string) error {
	if err := f.check(1); err != nil {
		return badRequest("exec", err)
	}
	if f.Detach && f.record != nil {
		return badRequest("exec", errors.New("conflicting options: record stays with the command: leave out --detach"))
	}
	env, err := opts.ReadKVEnvStrings(f.envFile.GetSlice(), f.env.GetSlice())
	if err != nil {
		return plainFailure("%w", err)
	}
	f.Cmd, f.Env, f.Explain = command, env, f.explain
	f.AttachStdout, f.AttachStderr, f.AttachStdin = !f.Detach, !f.Detach, !f.Detach && f.stdin
	return nil
}

// finish follows what is attached to its end; a detachment is an error here, as for Docker's exec and attach.
func (c *call) finish(ctx context.Context, a engine.Attachment, w wiring) error {
	return ended(c.follow(ctx, a, w))
}

// ended is how following came to an end.
func ended(code int, err error) error {
	if errors.Is(err, engine.ErrDetached) {
		return plainFailure("%w", engine.ErrDetached)
	}
	if err != nil {
		return err
	}
	return exited(code)
}
