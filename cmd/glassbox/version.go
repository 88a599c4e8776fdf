package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"text/template"
	"time"

	"glassbox/engine"

	"github.com/docker/cli/cli/command/formatter/tabwriter"
	"github.com/docker/cli/templates"
	"github.com/docker/docker/api"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/system"
)

const versionTemplate = `{{with .Client -}}
Client: {{.Platform.Name}}
 Version:	{{.Version}}
 API version:	{{.APIVersion}}
 Go version:	{{.GoVersion}}
 Git commit:	{{.GitCommit}}
 Built:	{{.BuildTime}}
 OS/Arch:	{{.Os}}/{{.Arch}}
 Context:	{{.Context}}
{{- end}}
{{- with .Server}}

Server: {{.Platform.Name}}
 {{- range .Components}}
 {{.Name}}:
  Version:	{{.Version}}
  API version:	{{index .Details "ApiVersion"}} (minimum version {{index .Details "MinAPIVersion"}})
  Go version:	{{index .Details "GoVersion"}}
  Git commit:	{{index .Details "GitCommit"}}
  Built:	{{index .Details "BuildTime"}}
  OS/Arch:	{{index .Details "Os"}}/{{index .Details "Arch"}}
  Experimental:	{{index .Details "Experimental"}}
 {{- end}}
{{- end}}`

// versions is what `version` prints: client and server are the same program here.
type versions struct {
	Client clientVersion
	Server *types.Version
}

type clientVersion struct {
	Platform          struct{ Name string }
	Version           string `json:",omitempty"`
	APIVersion        string `json:"ApiVersion,omitempty"`
	DefaultAPIVersion string `json:",omitempty"`
	GitCommit         string `json:",omitempty"`
	GoVersion         string `json:",omitempty"`
	Os                string `json:",omitempty"`
	Arch              string `json:",omitempty"`
	BuildTime         string `json:",omitempty"`
	Context           string
}

func versionVerb() verb {
	return verb{
		use: "version [OPTIONS]", short: "Show the glassbox version information", max: 0, group: common,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			return func(ctx context.Context, args []string) error {
				t, err := infoTemplate("version", *format, versionTemplate)
				if err != nil {
					return err
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				info, err := b.info()
				if err != nil {
					return engineFailure(err)
				}
				return printTemplate(c.stdout, t, newVersions(info))
			}
		},
	}
}

// infoTemplate parses --format of version and info; standard is used without it.
func infoTemplate(name, format, standard string) (*template.Template, error) {
	switch format {
	case "":
		format = standard
	case "json":
		format = "{{json .}}"
	}
	t, err := templates.NewParse(name, format)
	if err != nil {
		return nil, templateFailure(err)
	}
	return t, nil
}

func printTemplate(w io.Writer, t *template.Template, v any) error {
	tabs := tabwriter.NewWriter(w, 20, 1, 1, ' ', 0)
	err := t.Execute(tabs, v)
	fmt.Fprintln(tabs)
	if err != nil {
		return plainFailure("%w", err)
	}
	return tabs.Flush()
}

func newVersions(info system.Info) versions {
	commit, built := build()
	c := clientVersion{
		Version: engine.Version, APIVersion: api.DefaultVersion, DefaultAPIVersion: api.DefaultVersion, GitCommit: commit,
		GoVersion: runtime.Version(), Os: runtime.GOOS, Arch: runtime.GOARCH, BuildTime: built, Context: "default",
	}
	c.Platform.Name = "glassbox"
	s := &types.Version{
		Version: engine.Version, APIVersion: c.APIVersion, MinAPIVersion: "1.24", GitCommit: commit, GoVersion: c.GoVersion,
		Os: c.Os, Arch: c.Arch, KernelVersion: info.KernelVersion, BuildTime: built,
	}
	s.Platform.Name = "glassbox (no daemon: the engine is this program)"
	s.Components = []types.ComponentVersion{{Name: "Engine", Version: engine.Version, Details: map[string]string{
		"ApiVersion": s.APIVersion, "MinAPIVersion": s.MinAPIVersion, "GitCommit": commit, "GoVersion": s.GoVersion,
		"Os": s.Os, "Arch": s.Arch, "BuildTime": built, "Experimental": strconv.FormatBool(false), "KernelVersion": s.KernelVersion,
	}}}
	return versions{Client: c, Server: s}
}

// build is the commit that the binary was built from, and that commit's time.
func build() (commit, when string) {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(7, len(s.Value))]
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				when = t.Format(time.ANSIC)
			}
		}
	}
	return commit, when
}

// versionLine is --version, as Docker words it.
func (s *session) versionLine() string {
	commit, _ := build()
	return fmt.Sprintf("%s version %s, build %s", map[bool]string{true: "Docker", false: "glassbox"}[s.isDocker()], engine.Version, commit)
}
