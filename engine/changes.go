package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"glassbox/image"

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
	e := Edit{Config: copied(config)}
	if len(changes) == 0 {
		return e.Config, nil
	}
	file, err := parser.Parse(strings.NewReader(strings.Join(changes, "\n")))
	if err != nil {
		return nil, invalid("%w", err)
	}
	e.Lex = dockersh.NewLex(file.EscapeToken)
	for _, n := range file.AST.Children {
		if !slices.Contains(changeable, strings.ToLower(n.Value)) {
			return nil, invalid("%s is not a valid change command", n.Value)
		}
	}
	for _, n := range file.AST.Children {
		command, err := instructions.ParseCommand(n)
		if err == nil {
			_, err = e.Apply(command, nil)
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

// Edit is a config that Dockerfile instructions change one after the other, as moby's builder does.
type Edit struct {
	*container.Config
	Lex    *dockersh.Lex
	hasCmd bool // a CMD has been given: a later ENTRYPOINT leaves it
}

// NewEdit begins with an image's config, or with nothing.
func NewEdit(img *image.Image, lex *dockersh.Lex) *Edit {
	c := &container.Config{}
	if img != nil {
		k := img.Config.Config
		c = &container.Config{
			User: k.User, Env: k.Env, Entrypoint: k.Entrypoint, Cmd: k.Cmd, WorkingDir: k.WorkingDir, StopSignal: k.StopSignal, Labels: k.Labels, Volumes: k.Volumes,
			Healthcheck: img.Docker.Healthcheck, OnBuild: img.Docker.OnBuild, Shell: img.Docker.Shell, ExposedPorts: nat.PortSet{},
		}
		for p := range k.ExposedPorts {
			c.ExposedPorts[exposed(p)] = struct{}{}
		}
	}
	return &Edit{Config: copied(c), Lex: lex}
}

// Fork goes on from here in another stage; a CMD that was given here is the base image's there.
func (e *Edit) Fork(lex *dockersh.Lex) *Edit { return &Edit{Config: copied(e.Config), Lex: lex} }

// Clone is the config as it is now; edits of the one leave the other.
func (e *Edit) Clone() *container.Config { return copied(e.Config) }

// longest is what a word may become by its variables: sixty lines of ENV A=$A$A would take all memory, and execve(2) takes no string of more than
// 128 KiB.
const longest = 1 << 20

// Expander puts variables into words.
func Expander(lex *dockersh.Lex, env dockersh.EnvGetter) instructions.SingleWordExpander {
	return func(word string) (string, error) {
		expanded, _, err := lex.ProcessWord(word, env)
		if err == nil && len(expanded) > max(longest, 2*len(word)) {
			return "", fmt.Errorf("%.40q becomes %d bytes long with its variables, and at most %d are taken", word, len(expanded), longest)
		}
		return expanded, err
	}
}

// Apply carries out an instruction that only changes the config. more are variables for its words beside the config's own. It returns what an
// image's history says of it.
func (e *Edit) Apply(command instructions.Command, more []string) (said string, err error) {
	env := dockersh.EnvsFromSlice(append(slices.Clip(e.Env), more...))
	if x, ok := command.(instructions.SupportsSingleWordExpansion); ok {
		if err := x.Expand(Expander(e.Lex, env)); err != nil {
			return "", err
		}
	}
	switch c := command.(type) {
	case *instructions.CmdCommand:
		e.Cmd, e.hasCmd = e.Line(c.ShellDependantCmdLine), e.hasCmd || len(c.CmdLine) > 0
		return fmt.Sprintf("CMD %q", []string(e.Cmd)), nil
	case *instructions.EntrypointCommand:
		e.Entrypoint = e.Line(c.ShellDependantCmdLine)
		if !e.hasCmd {
			e.Cmd = nil
		}
		return fmt.Sprintf("ENTRYPOINT %q", []string(e.Entrypoint)), nil
	case *instructions.HealthCheckCommand:
		e.Healthcheck = c.Health
		return fmt.Sprintf("HEALTHCHECK %q", any(c.Health)), nil
	case *instructions.EnvCommand:
		return e.env(c), nil
	case *instructions.ExposeCommand:
		return e.expose(c.Ports, env)
	case *instructions.LabelCommand:
		said = "LABEL"
		for _, l := range c.Labels {
			e.Labels[l.Key] = l.Value
			said += " " + l.String()
		}
		return said, nil
	case *instructions.OnbuildCommand:
		e.OnBuild = append(e.OnBuild, c.Expression)
		return "ONBUILD " + c.Expression, nil
	case *instructions.ShellCommand:
		e.Shell = c.Shell
		return fmt.Sprintf("SHELL %v", []string(e.Shell)), nil
	case *instructions.StopSignalCommand:
		if _, err := parseSignal(c.Signal); err != nil {
			return "", err
		}
		e.StopSignal = c.Signal
		return "STOPSIGNAL " + c.Signal, nil
	case *instructions.UserCommand:
		e.User = c.User
		return "USER " + c.User, nil
	case *instructions.VolumeCommand:
		return e.volume(c.Volumes)
	case *instructions.WorkdirCommand:
		return e.workdir(c.Path)
	}
	return "", fmt.Errorf("unsupported command type: %T", command)
}

// Line is a command line: one that is not in JSON is the shell's.
func (e *Edit) Line(c instructions.ShellDependantCmdLine) []string {
	if !c.PrependShell || c.CmdLine == nil {
		return slices.Clone(c.CmdLine)
	}
	return append(e.ShellWords(), c.CmdLine...)
}

// ShellWords are those by which the shell is called.
func (e *Edit) ShellWords() []string {
	if len(e.Shell) > 0 {
		return slices.Clone([]string(e.Shell))
	}
	return []string{"/bin/sh", "-c"}
}

func (e *Edit) env(c *instructions.EnvCommand) (said string) {
	said = "ENV"
	for _, kv := range c.Env {
		said += " " + kv.String()
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
	return said
}

// expose takes ports, of which one word may stand for several: EXPOSE $PORTS.
func (e *Edit) expose(words []string, env dockersh.EnvGetter) (said string, err error) {
	var all []string
	for _, w := range words {
		ports, err := e.Lex.ProcessWords(w, env)
		if err != nil {
			return "", err
		}
		all = append(all, ports...)
	}
	ports, _, err := nat.ParsePortSpecs(all)
	for p := range ports {
		e.ExposedPorts[p] = struct{}{}
	}
	return "EXPOSE " + strings.Join(all, " "), err
}

func (e *Edit) volume(paths []string) (said string, err error) {
	for _, v := range paths {
		if v == "" {
			return "", errors.New("VOLUME specified can not be an empty string")
		}
		e.Volumes[v] = struct{}{}
	}
	return fmt.Sprintf("VOLUME %v", paths), nil
}

func (e *Edit) workdir(dir string) (said string, err error) {
	if dir == "" {
		return "", errors.New("cannot normalize nothing")
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/", e.WorkingDir, dir)
	}
	e.WorkingDir = path.Clean(dir)
	return "WORKDIR " + e.WorkingDir, nil
}

// ImageConfig is what an image keeps of the config.
func (e *Edit) ImageConfig() dockerspec.DockerOCIImageConfig { return imageConfig(e.Config) }

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
