package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"glassbox/engine"
	"glassbox/why"
)

func whyVerb() verb {
	return verb{
		use:   "why [OPTIONS] [CODE] CONTAINER\n\twhy [OPTIONS] [ERRNO CALL [OBJECT...]]",
		short: "Say why a container ended or did not start, or a kernel call failed", max: -1, group: seeThrough, offers: offerContainers,
		long: "Say why a container ended or did not start, or a kernel call failed: each cause tested on this machine, the true one first.\n\n" +
			"  why web                                      what ended it, and who\n" +
			"  why 137 web                                  whether that is its code, and what it means\n" +
			"  why --in web EPERM mount                     as the container's process\n" +
			"  why EBUSY cgroup.subtree_control DIR         which processes are in the way\n" +
			"  why ENOENT execve web:/app/run.sh            why a file of a container's is not run\n" +
			"  why EADDRINUSE bind 8080                     who has the port\n" +
			"  why                                          all that is known",
		prepare: func(c *call) action {
			format := c.flags.String("format", "", `"json": all of it, for programs`)
			in := c.flags.String("in", "", "Who makes the call: a container, or a process's number")
			plain := plainFlag(c.flags)
			return func(ctx context.Context, args []string) error { return c.why(args, *in, *format, *plain) }
		},
	}
}

// why tells the three questions apart: an error of a call begins with an errno and has two words at least, a container stands alone or behind a
// code. One word that is an errno's name is none of a container's, unless there is one of that name.
func (c *call) why(args []string, in, format string, plain bool) error {
	switch {
	case format != "" && format != "json":
		return plainFailure("invalid format %q: json", format)
	case in != "" && len(args) < 2:
		return plainFailure("--in is for the error of a call: why --in CONTAINER ERRNO CALL")
	case len(args) == 0:
		pairs := why.Pairs()
		return c.inFormat(format, pairs, func() error { return why.DrawPairs(pairs, c.stdout, style(c.stdout, plain)) })
	case len(args) == 1:
		return c.whyContainer(args[0], -1, format, plain)
	}
	if code, err := strconv.Atoi(args[0]); err == nil && len(args) == 2 && code >= 0 && code <= 255 {
		err := c.whyContainer(args[1], code, format, plain)
		if _, is := why.Errno(args[0]); !is || !isNotFound(err) {
			return err
		}
	}
	errno, is := why.Errno(args[0])
	if !is {
		return plainFailure("%s is no error number or name, and no exit code before a container: why lists what is known", args[0])
	}
	return c.whyCall(why.Question{Errno: errno, Call: args[1], Objects: args[2:], In: in, Container: c.evidence}, format, plain)
}

func (c *call) evidence(ref string) (*engine.Evidence, error) {
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	return b.containers.Evidence(ref)
}

func (c *call) whyContainer(ref string, code int, format string, plain bool) error {
	e, err := c.evidence(ref)
	if err != nil {
		if _, is := why.Errno(ref); is && isNotFound(err) {
			return plainFailure("%s from which call? why %s CALL; why alone lists them", ref, ref)
		}
		return engineFailure(err)
	}
	r := why.Container(e, code)
	return c.inFormat(format, r, func() error { return r.Draw(c.stdout, style(c.stdout, plain)) })
}

func (c *call) whyCall(q why.Question, format string, plain bool) error {
	a, err := why.Ask(q)
	var strange *why.NotKnown
	switch {
	case errors.As(err, &strange):
		return plainFailure("%w", err)
	case err != nil:
		return engineFailure(err)
	}
	return c.inFormat(format, a, func() error { return a.Draw(c.stdout, style(c.stdout, plain)) })
}

// inFormat writes for programs, or draws.
func (c *call) inFormat(format string, v any, draw func() error) error {
	if format != "json" {
		return draw()
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "    ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
