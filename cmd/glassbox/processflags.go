package main

import (
	"errors"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// processFlags say what runs in the container and what it is attached to.
type processFlags struct {
	attach, env, envFile, groupAdd, labels, labelFiles opts.ListOpts
	entrypoint, hostname, domainname, user, workdir    string
	stopSignal                                         string
	stopTimeout                                        int
	stdin, tty, init                                   bool
	sysctls, annotations                               *opts.MapOpts
	ulimits                                            *opts.UlimitOpt
}

func (p *processFlags) define(f *pflag.FlagSet) {
	p.attach = opts.NewListOpts(validStream)
	p.env = opts.NewListOpts(opts.ValidateEnv)
	p.envFile = opts.NewListOpts(nil)
	p.groupAdd = opts.NewListOpts(nil)
	p.labels = opts.NewListOpts(opts.ValidateLabel)
	p.labelFiles = opts.NewListOpts(nil)
	p.sysctls = opts.NewMapOpts(nil, opts.ValidateSysctl)
	p.annotations = opts.NewMapOpts(nil, nil)
	p.ulimits = opts.NewUlimitOpt(nil)
	f.VarP(&p.attach, "attach", "a", "Attach to STDIN, STDOUT or STDERR")
	f.VarP(&p.env, "env", "e", "Set environment variables")
	f.Var(&p.envFile, "env-file", "Read in a file of environment variables")
	f.StringVar(&p.entrypoint, "entrypoint", "", "Overwrite the default ENTRYPOINT of the image")
	f.Var(&p.groupAdd, "group-add", "Add additional groups to join")
	f.StringVarP(&p.hostname, "hostname", "h", "", "Container host name")
	f.StringVar(&p.domainname, "domainname", "", "Container NIS domain name")
	f.BoolVarP(&p.stdin, "interactive", "i", false, "Keep STDIN open even if not attached")
	f.VarP(&p.labels, "label", "l", "Set meta data on a container")
	f.Var(&p.labelFiles, "label-file", "Read in a line delimited file of labels")
	f.StringVar(&p.stopSignal, "stop-signal", "", "Signal to stop the container")
	f.IntVar(&p.stopTimeout, "stop-timeout", 0, "Timeout (in seconds) to stop a container")
	f.Var(p.sysctls, "sysctl", "Sysctl options")
	f.BoolVarP(&p.tty, "tty", "t", false, "Allocate a pseudo-TTY")
	f.Var(p.ulimits, "ulimit", "Ulimit options")
	f.StringVarP(&p.user, "user", "u", "", "Username or UID (format: <name|uid>[:<group|gid>])")
	f.StringVarP(&p.workdir, "workdir", "w", "", "Working directory inside the container")
	f.BoolVar(&p.init, "init", false, "Run an init inside the container that forwards signals and reaps processes")
	f.Var(p.annotations, "annotation", "Add an annotation to the container (passed through to the OCI runtime)")
}

func (p *processFlags) apply(f *pflag.FlagSet, c *container.Config, h *container.HostConfig) error {
	env, err := opts.ReadKVEnvStrings(p.envFile.GetSlice(), p.env.GetSlice())
	if err != nil {
		return err
	}
	labels, err := opts.ReadKVStrings(p.labelFiles.GetSlice(), p.labels.GetSlice())
	if err != nil {
		return err
	}
	c.Env, c.Labels = env, opts.ConvertKVStringsToMap(labels)
	c.Hostname, c.Domainname, c.User, c.WorkingDir = p.hostname, p.domainname, p.user, p.workdir
	c.Tty, c.OpenStdin, c.StopSignal = p.tty, p.stdin, p.stopSignal
	p.attachTo(c)
	switch {
	case p.entrypoint != "":
		c.Entrypoint = []string{p.entrypoint}
	case f.Changed("entrypoint"):
		c.Entrypoint = []string{""} // --entrypoint= asks for none, not even the image's
	}
	if f.Changed("stop-timeout") {
		c.StopTimeout = &p.stopTimeout
	}
	if f.Changed("init") {
		h.Init = &p.init
	}
	h.GroupAdd, h.Sysctls, h.Annotations, h.Ulimits = p.groupAdd.GetSlice(), p.sysctls.GetAll(), p.annotations.GetAll(), p.ulimits.GetList()
	return nil
}

// attachTo: without -a it is stdout and stderr, and stdin with -i. Stdin closes when the one attached client goes.
func (p *processFlags) attachTo(c *container.Config) {
	none := p.attach.Len() == 0
	c.AttachStdin = p.attach.Get("stdin") || p.stdin
	c.AttachStdout = p.attach.Get("stdout") || none
	c.AttachStderr = p.attach.Get("stderr") || none
	c.StdinOnce = c.OpenStdin && c.AttachStdin
}

func validStream(name string) (string, error) {
	switch lower := strings.ToLower(name); lower {
	case "stdin", "stdout", "stderr":
		return lower, nil
	}
	return name, errors.New("valid streams are STDIN, STDOUT and STDERR")
}
