package engine

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockersh "github.com/moby/buildkit/frontend/dockerfile/shell"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// changeable are the Dockerfile instructions that `commit --change` and `import --change` know: those that only change the config.
var changeable = []string{"cmd", "entrypoint", "healthcheck", "env", "expose", "label", "onbuild", "stopsignal", "user", "volume", "workdir"}

// changed is a copy of a config with Dockerfile instructions applied to it.
func changed(config *container.Config, changes []string) (*container.Config, error) {
	e := edit{Config: copied(config)}
	if len(changes) == 0 {
		return e.Config, nil
	}
	file, err := parser.Parse(strings.NewReader(strings.Join(changes, "\n")))
	if err != nil {
		return nil, invalid("%w", err)
	}
	e.lex = dockersh.NewLex(file.EscapeToken)
	for _, n := range file.AST.Children {
		if !slices.Contains(changeable, strings.ToLower(n.Value)) {
			return nil, invalid("%s is not a valid change command", n.Value)
		}
	}
	for _, n := range file.AST.Children {
		command, err := instructions.ParseCommand(n)
		if err == nil {
			err = e.apply(command)
		}
		if err != nil {
			return nil, invalid("%w", err)
		}
	}
	return e.Config, nil
}

// copied shares nothing that an edit writes to.
func copied(c *container.Config) *container.Config {
	k := *c
	k.Env, k.OnBuild = slices.Clone(c.Env), slices.Clone(c.OnBuild)
	k.Labels, k.Volumes, k.ExposedPorts = map[string]string{}, map[string]struct{}{}, nat.PortSet{}
	for name, value := range c.Labels {
		k.Labels[name] = value
	}
	for v := range c.Volumes {
		k.Volumes[v] = struct{}{}
	}
	for p := range c.ExposedPorts {
		k.ExposedPorts[p] = struct{}{}
	}
	return &k
}

// edit is a config that instructions change one after the other, as moby's builder does.
type edit struct {
	*container.Config
	lex    *dockersh.Lex
	hasCmd bool // a CMD has been given: a later ENTRYPOINT leaves it
}

func (e *edit) apply(command instructions.Command) error {
	env := dockersh.EnvsFromSlice(e.Env)
	if x, ok := command.(instructions.SupportsSingleWordExpansion); ok {
		expand := func(word string) (string, error) {
			word, _, err := e.lex.ProcessWord(word, env)
			return word, err
		}
		if err := x.Expand(expand); err != nil {
			return err
		}
	}
	switch c := command.(type) {
	case *instructions.CmdCommand:
		e.Cmd, e.hasCmd = e.line(c.ShellDependantCmdLine), e.hasCmd || len(c.CmdLine) > 0
	case *instructions.EntrypointCommand:
		e.Entrypoint = e.line(c.ShellDependantCmdLine)
		if !e.hasCmd {
			e.Cmd = nil
		}
	case *instructions.HealthCheckCommand:
		e.Healthcheck = c.Health
	case *instructions.EnvCommand:
		e.env(c)
	case *instructions.ExposeCommand:
		return e.expose(c.Ports, env)
	case *instructions.LabelCommand:
		for _, l := range c.Labels {
			e.Labels[l.Key] = l.Value
		}
	case *instructions.OnbuildCommand:
		e.OnBuild = append(e.OnBuild, c.Expression)
	case *instructions.StopSignalCommand:
		if _, err := parseSignal(c.Signal); err != nil {
			return err
		}
		e.StopSignal = c.Signal
	case *instructions.UserCommand:
		e.User = c.User
	case *instructions.VolumeCommand:
		return e.volume(c.Volumes)
	case *instructions.WorkdirCommand:
		return e.workdir(c.Path)
	}
	return nil
}

// line is a command line: one that is not in JSON is the shell's.
func (e *edit) line(c instructions.ShellDependantCmdLine) []string {
	if !c.PrependShell || len(c.CmdLine) == 0 {
		return append([]string{}, c.CmdLine...)
	}
	sh := []string{"/bin/sh", "-c"}
	if len(e.Shell) > 0 {
		sh = e.Shell
	}
	return append(slices.Clone(sh), c.CmdLine...)
}

func (e *edit) env(c *instructions.EnvCommand) {
	for _, kv := range c.Env {
		at := slices.IndexFunc(e.Env, func(v string) bool {
			name, _, _ := strings.Cut(v, "=")
			return name == kv.Key
		})
		if at < 0 {
			e.Env = append(e.Env, kv.String())
		} else {
			e.Env[at] = kv.String()
		}
	}
}

// expose takes ports, of which one word may stand for several: EXPOSE $PORTS.
func (e *edit) expose(words []string, env dockersh.EnvGetter) error {
	var all []string
	for _, w := range words {
		ports, err := e.lex.ProcessWords(w, env)
		if err != nil {
			return err
		}
		all = append(all, ports...)
	}
	ports, _, err := nat.ParsePortSpecs(all)
	for p := range ports {
		e.ExposedPorts[p] = struct{}{}
	}
	return err
}

func (e *edit) volume(paths []string) error {
	for _, v := range paths {
		if v == "" {
			return errors.New("VOLUME specified can not be an empty string")
		}
		e.Volumes[v] = struct{}{}
	}
	return nil
}

func (e *edit) workdir(dir string) error {
	if dir == "" {
		return errors.New("cannot normalize nothing")
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/", e.WorkingDir, dir)
	}
	e.WorkingDir = path.Clean(dir)
	return nil
}

// imageConfig is what of a container's config is kept in an image.
func imageConfig(c *container.Config) dockerspec.DockerOCIImageConfig {
	k := ocispec.ImageConfig{
		User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir, StopSignal: c.StopSignal,
	}
	if len(c.Labels) > 0 {
		k.Labels = c.Labels
	}
	if len(c.Volumes) > 0 {
		k.Volumes = c.Volumes
	}
	for p := range c.ExposedPorts {
		if k.ExposedPorts == nil {
			k.ExposedPorts = map[string]struct{}{}
		}
		k.ExposedPorts[string(p)] = struct{}{}
	}
	return dockerspec.DockerOCIImageConfig{
		ImageConfig:             k,
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{Healthcheck: c.Healthcheck, OnBuild: c.OnBuild, Shell: c.Shell},
	}
}
