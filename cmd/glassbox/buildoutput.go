package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"glassbox/dockerfile"
	"glassbox/progress"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// outputFlags are those that say what a build is for, as buildx has them.
type outputFlags struct {
	outputs    []string
	push, load bool
	metadata   string
}

// outputs reads them. Where files go to standard output, that is nobody's terminal.
func (c *call) outputs(f *buildFlags, o *dockerfile.Options) error {
	for _, flag := range f.outputs {
		one, err := dockerfile.ParseOutput(flag)
		if err != nil {
			return err
		}
		o.Outputs = append(o.Outputs, one)
	}
	if f.load && !slices.ContainsFunc(o.Outputs, func(o dockerfile.Output) bool { return o.Type == "image" }) {
		o.Outputs = append(o.Outputs, dockerfile.Output{Type: "image"})
	}
	if f.push {
		if i := slices.IndexFunc(o.Outputs, func(o dockerfile.Output) bool { return o.Type == "image" }); i >= 0 {
			o.Outputs[i].Push = true
		} else {
			o.Outputs = append(o.Outputs, dockerfile.Output{Type: "image", Push: true})
		}
	}
	o.Stdout = c.stdout
	used := false
	for _, one := range o.Outputs {
		switch {
		case one.Push && len(one.Names) == 0 && len(o.Tags) == 0:
			return errors.New("tag is needed when pushing to registry")
		case one.Dest == "-" && used:
			return errors.New("multiple outputs configured to write to stdout")
		case one.Dest == "-" && isTerminal(c.stdout):
			return fmt.Errorf("dest file is required for %s exporter. refusing to write to console", one.Type)
		}
		used = used || one.Dest == "-"
	}
	return nil
}

// toStdout: files go to standard output, and what else stands there goes to standard error.
func toStdout(o dockerfile.Options) bool {
	return slices.ContainsFunc(o.Outputs, func(o dockerfile.Output) bool { return o.Dest == "-" })
}

// writeMetadata writes what --metadata-file is to tell, under buildx's keys. An image's digest is its id, unless a registry has it.
func writeMetadata(file string, r progress.Result) error {
	var m struct {
		Config digest.Digest `json:"containerimage.config.digest,omitempty"`
		Digest digest.Digest `json:"containerimage.digest,omitempty"`
		Name   string        `json:"image.name,omitempty"`
	}
	m.Config, m.Digest = r.Image, r.Image
	if r.Pushed != "" {
		m.Digest = r.Pushed
	}
	var names []string
	for _, tag := range r.Tags {
		ref, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			return err
		}
		names = append(names, ref.String())
	}
	m.Name = strings.Join(names, ",")
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o666)
}
