package engine

import (
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/docker/cli/templates"
)

// logAttributes are what --log-opt labels, labels-regex, env, env-regex and tag add to each entry.
func (r *record) logAttributes() (map[string]string, error) {
	options := r.HostConfig.LogConfig.Config
	environment := map[string]string{}
	for _, e := range r.Config.Env {
		if name, value, ok := strings.Cut(e, "="); ok {
			environment[name] = value
		}
	}
	attrs := map[string]string{}
	if err := choose(attrs, r.Config.Labels, options["labels"], options["labels-regex"]); err != nil {
		return nil, err
	}
	if err := choose(attrs, environment, options["env"], options["env-regex"]); err != nil {
		return nil, err
	}
	tag, err := r.logTag(options["tag"])
	if tag != "" {
		attrs["tag"] = tag
	}
	return attrs, err
}

// choose copies those of from that are listed, and those whose names match the expression.
func choose(to, from map[string]string, list, expression string) error {
	if len(from) == 0 {
		return nil
	}
	for _, name := range strings.Split(list, ",") {
		if value, ok := from[name]; ok && list != "" {
			to[name] = value
		}
	}
	if expression == "" {
		return nil
	}
	matcher, err := regexp.Compile(expression)
	if err != nil {
		return err
	}
	for name, value := range from {
		if matcher.MatchString(name) {
			to[name] = value
		}
	}
	return nil
}

// logTag is --log-opt tag, a template.
func (r *record) logTag(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	t, err := templates.NewParse("log-tag", text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, r.logInfo()); err != nil {
		return "", inDockersWords(err)
	}
	return b.String(), nil
}

// logInfo is what a tag's template can name, as in Docker.
type logInfo struct {
	Config              map[string]string
	ContainerID         string
	ContainerName       string
	ContainerEntrypoint string
	ContainerArgs       []string
	ContainerImageID    string
	ContainerImageName  string
	ContainerCreated    time.Time
	ContainerEnv        []string
	ContainerLabels     map[string]string
	LogPath             string
	DaemonName          string
}

func (r *record) logInfo() *logInfo {
	return &logInfo{
		Config: r.HostConfig.LogConfig.Config, ContainerID: r.ID, ContainerName: "/" + r.Name, ContainerEntrypoint: r.Path, ContainerArgs: r.Args,
		ContainerImageID: string(r.Image), ContainerImageName: r.Config.Image, ContainerCreated: r.Created, ContainerEnv: r.Config.Env,
		ContainerLabels: r.Config.Labels, LogPath: r.place.Log(), DaemonName: "docker",
	}
}

func (i *logInfo) ID() string                { return i.ContainerID[:12] }
func (i *logInfo) FullID() string            { return i.ContainerID }
func (i *logInfo) Name() string              { return strings.TrimPrefix(i.ContainerName, "/") }
func (i *logInfo) ImageID() string           { return i.ContainerImageID[:min(12, len(i.ContainerImageID))] }
func (i *logInfo) ImageFullID() string       { return i.ContainerImageID }
func (i *logInfo) ImageName() string         { return i.ContainerImageName }
func (i *logInfo) Hostname() (string, error) { return os.Hostname() }

func (i *logInfo) Command() string {
	return strings.Join(append([]string{i.ContainerEntrypoint}, i.ContainerArgs...), " ")
}
