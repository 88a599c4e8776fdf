package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	"glassbox/engine"
	"glassbox/experiment"
	"glassbox/mechanism"
	"glassbox/screen"

	"github.com/docker/docker/api/types/container"
)

// experimentFlags are those of experiment.
type experimentFlags struct {
	without, probe, image, format string
	dangerous                     bool
	plain                         *bool
	timeout                       time.Duration
}

// tinyImage is the one that the built-in probes are made for.
const tinyImage = "tiny"

func experimentVerb() verb {
	return verb{
		use: "experiment [OPTIONS]", short: "Run a probe in two containers, whole and with one mechanism left out", max: 0, group: seeThrough,
		prepare: func(c *call) action {
			var f experimentFlags
			c.flags.StringVar(&f.without, "without", "", "What is left out: "+strings.Join(mechanism.Names(), ", "))
			c.flags.StringVar(&f.probe, "probe", "", "Run this with the image's shell instead of the built-in probe")
			c.flags.StringVar(&f.image, "image", tinyImage, "Image of both containers (with --probe)")
			c.flags.BoolVar(&f.dangerous, "dangerous", false, "Run a probe that could get at this host, though it is no virtual machine")
			c.flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "How long the probe may run")
			c.flags.StringVar(&f.format, "format", "", `"json": all of it, for programs`)
			f.plain = plainFlag(c.flags)
			return func(ctx context.Context, _ []string) error { return c.experiment(ctx, &f) }
		},
	}
}

func (c *call) experiment(ctx context.Context, f *experimentFlags) error {
	if f.format != "" && f.format != "json" {
		return plainFailure("invalid format %q: json", f.format)
	}
	if f.without == "" && f.probe == "" && !isSet(c.flags, "without") {
		return c.listExperiments(f)
	}
	e, err := f.chosen()
	if err != nil {
		return err
	}
	risk, err := guarded(e, f)
	if err != nil {
		return err
	}
	if err := c.rehearse(ctx, e, f); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := experiment.Do(ctx, []string{self, stageWord}, experiment.Request{Name: e.Name, Image: f.image, Probe: f.probe, Timeout: f.timeout})
	if err != nil {
		return plainFailure("%w", err)
	}
	result.Risk = risk
	if f.format == "json" {
		return c.writeJSON(result)
	}
	s := screen.New(c.stdout, style(c.stdout, *f.plain))
	result.Show(s, c.name)
	return s.Flush()
}

// chosen is the experiment that the flags ask for.
func (f *experimentFlags) chosen() (experiment.Experiment, error) {
	e, known := experiment.Of(f.without)
	names := strings.Join(mechanism.Names(), ", ")
	switch {
	case f.without == "":
		return e, plainFailure("--without is missing: one of %s", names)
	case !known:
		return e, plainFailure("there is no experiment %q: --without takes %s", f.without, names)
	case f.probe != "" && e.Less != nil:
		return e, plainFailure("--without %s takes no --probe: what it leaves out is in the built-in one", e.Name)
	case f.timeout <= 0:
		return e, plainFailure("--timeout %s: a probe needs time to run", f.timeout)
	case f.probe == "" && f.image != tinyImage:
		return e, plainFailure("the built-in probe is made for the image %s: with --image say what to run, --probe CMD", tinyImage)
	}
	return e, nil
}

// guarded refuses a probe of the user's own where what it could do would be done to this host. Otherwise it says why the risk is taken.
func guarded(e experiment.Experiment, f *experimentFlags) (risk string, err error) {
	if e.Danger == "" || f.probe == "" {
		return "", nil
	}
	virtual, evidence := experiment.Virtual()
	switch {
	case f.dangerous:
		return e.Danger + ". You said --dangerous", nil
	case virtual:
		return e.Danger + ". This machine is a virtual one: " + evidence, nil
	}
	return "", plainFailure("without %s a probe of your own could get at this host: %s. This is no virtual machine (%s): use one, or say --dangerous", e.Name, e.Danger, evidence)
}

// rehearse plans the whole container, so that what this host cannot do is refused before anything is made; an image that is missing is fetched.
func (c *call) rehearse(ctx context.Context, e experiment.Experiment, f *experimentFlags) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	o := engine.Options{
		Config: &container.Config{Image: f.image, Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
		Pull: "missing", Progress: c.stderr, Terminal: isTerminal(c.stderr),
	}
	if f.image == tinyImage {
		o.Pull = "never" // it is built in
	}
	e.Limit(o.HostConfig)
	_, err = b.containers.Plan(ctx, o)
	return engineFailure(err)
}

func (c *call) listExperiments(f *experimentFlags) error {
	if f.format == "json" {
		list := map[string]experiment.Experiment{}
		for _, e := range experiment.All() {
			list[e.Name] = e
		}
		return c.writeJSON(list)
	}
	s := screen.New(c.stdout, style(c.stdout, *f.plain))
	experiment.List(s, c.name)
	return s.Flush()
}

func (c *call) writeJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "    ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// stageWord is the command by which an experiment calls itself for its keeper and its stage.
const stageWord = "experiment-stage"

func stageVerb() verb {
	return verb{
		use: stageWord + " " + experiment.KeepWord + "|" + experiment.ActWord, short: "Part of experiment", min: 1, max: 1, hidden: true,
		prepare: func(c *call) action {
			return func(_ context.Context, args []string) error {
				if args[0] == experiment.ActWord {
					return experiment.Act(os.Stdin, os.Stdout)
				}
				self, err := os.Executable()
				if err != nil {
					return err
				}
				return experiment.Keep([]string{self, stageWord}, os.Stdin, os.Stdout)
			}
		},
	}
}
