package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/containerd/platforms"
	"github.com/docker/cli/templates"
	"github.com/docker/docker/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// finder looks up what a reference names.
type finder func(ref string) (any, error)

func inspectVerb() verb {
	return verb{
		use:   "inspect [OPTIONS] NAME|ID [NAME|ID...]",
		short: "Return low-level information on Docker objects", min: 1, max: -1, group: commands, offers: offerContainers | offerImages | offerNetworks | offerVolumes,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			kind := c.flags.String("type", "", "Only inspect objects of the given type")
			size := c.flags.BoolP("size", "s", false, "Display total file sizes if the type is container")
			return func(ctx context.Context, args []string) error {
				find, err := c.finderOf(*kind, *size)
				if err != nil {
					return err
				}
				return c.inspect(args, *format, find)
			}
		},
	}
}

func containerInspectVerb() verb {
	return verb{
		use:   "inspect [OPTIONS] CONTAINER [CONTAINER...]",
		short: "Display detailed information on one or more containers", min: 1, max: -1, offers: offerContainers,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			size := c.flags.BoolP("size", "s", false, "Display total file sizes")
			return func(ctx context.Context, args []string) error {
				return c.inspect(args, *format, c.findContainer(*size))
			}
		},
	}
}

func imageInspectVerb() verb {
	return verb{
		use:   "inspect [OPTIONS] IMAGE [IMAGE...]",
		short: "Display detailed information on one or more images", min: 1, max: -1, offers: offerImages,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			platform := c.flags.String("platform", "", `Inspect a specific platform of the multi-platform image.
If the image or the server is not multi-platform capable, the command will error out if the platform does not match.
'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)`)
			return func(ctx context.Context, args []string) error {
				return c.inspect(args, *format, c.findPlatform(*platform))
			}
		},
	}
}

func networkInspectVerb() verb {
	return verb{
		use:   "inspect [OPTIONS] NETWORK [NETWORK...]",
		short: "Display detailed information on one or more networks", min: 1, max: -1, offers: offerNetworks,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			c.flags.BoolP("verbose", "v", false, "Verbose output for diagnostics") // of swarm's services, which a single machine has none of
			return func(ctx context.Context, args []string) error { return c.inspect(args, *format, c.findNetwork) }
		},
	}
}

func volumeInspectVerb() verb {
	return verb{
		use:   "inspect [OPTIONS] VOLUME [VOLUME...]",
		short: "Display detailed information on one or more volumes", min: 1, max: -1, offers: offerVolumes,
		prepare: func(c *call) action {
			format := c.flags.StringP("format", "f", "", inspectFormatHelp)
			return func(ctx context.Context, args []string) error {
				return c.inspect(args, *format, func(ref string) (any, error) {
					v, err := c.findVolume(ref)
					return typed{v}, err
				})
			}
		},
	}
}

// typed is a value of which a template sees only what its Go type has, not its JSON.
type typed struct{ value any }

func (t typed) MarshalJSON() ([]byte, error) { return json.Marshal(t.value) }

// dockerTypes are what --type may name; this build has four of them.
var dockerTypes = []string{"config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"}

func (c *call) finderOf(kind string, size bool) (finder, error) {
	switch {
	case kind == "container":
		return c.findContainer(size), nil
	case kind == "image":
		return c.findImage, nil
	case kind == "network":
		return c.findNetwork, nil
	case kind == "volume":
		return c.findVolume, nil
	case kind == "" && c.flags.Changed("type"):
		return nil, plainFailure(`type is empty: must be one of "%s"`, strings.Join(dockerTypes, `", "`))
	case kind != "" && slices.Contains(dockerTypes, kind):
		return nil, plainFailure("--type %s: glassbox has containers, images, networks and volumes", kind)
	case kind != "":
		return nil, plainFailure(`unknown type: %q: must be one of "%s"`, kind, strings.Join(dockerTypes, `", "`))
	}
	return c.findAny(size), nil
}

// findAny looks among the containers first, then among images, networks and volumes, as Docker does.
func (c *call) findAny(size bool) finder {
	return func(ref string) (any, error) {
		for _, find := range []finder{c.findContainer(size), c.findImage, c.findNetwork, c.findVolume} {
			v, err := find(ref)
			if err == nil || !isNotFound(err) && !strings.Contains(err.Error(), "invalid reference format") {
				return v, err
			}
		}
		return nil, plainFailure("Error: No such object: %s", ref)
	}
}

func (c *call) findContainer(size bool) finder {
	return func(ref string) (any, error) {
		b, err := c.backend()
		if err != nil {
			return nil, err
		}
		i, err := b.containers.Inspect(ref, size)
		return i, engineFailure(err)
	}
}

func (c *call) findImage(ref string) (any, error) {
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	i, err := b.images.Inspect(ref)
	return i, engineFailure(err)
}

func (c *call) findNetwork(ref string) (any, error) {
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	n, err := b.networks.Inspect(ref)
	return n, engineFailure(err)
}

func (c *call) findVolume(ref string) (any, error) {
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	v, err := b.volumes.Inspect(ref)
	return v, engineFailure(err)
}

// findPlatform is findImage for those of one platform. A store holds one platform of an image.
func (c *call) findPlatform(wanted string) finder {
	return func(ref string) (any, error) {
		v, err := c.findImage(ref)
		if err != nil || wanted == "" {
			return v, err
		}
		p, err := platforms.Parse(wanted)
		if err != nil {
			return nil, plainFailure("%w", err)
		}
		i := v.(image.InspectResponse)
		has := platforms.Normalize(ocispec.Platform{OS: i.Os, Architecture: i.Architecture, Variant: i.Variant})
		if !platforms.OnlyStrict(p).Match(has) {
			return nil, engineFailure(fmt.Errorf("image with reference %s was found but its platform (%s) does not match the specified platform (%s)", ref, platforms.FormatAll(has), platforms.FormatAll(p)))
		}
		return v, nil
	}
}

// inspect prints what was found, then the errors of what was not.
func (c *call) inspect(refs []string, format string, find finder) error {
	write, err := inspector(format)
	if err != nil {
		return err
	}
	var found []any
	var errs []error
	for _, ref := range refs {
		v, err := find(ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, v)
	}
	return errors.Join(append([]error{write(c.stdout, found)}, errs...)...)
}

// inspector chooses the writer: an indented array, one JSON array on a line, or a template for each.
func inspector(format string) (func(io.Writer, []any) error, error) {
	switch format {
	case "":
		return func(w io.Writer, found []any) error { return writeArray(w, found, "    ") }, nil
	case "json":
		return func(w io.Writer, found []any) error { return writeArray(w, found, "") }, nil
	}
	t, err := templates.Parse(format)
	if err != nil {
		return nil, templateFailure(err)
	}
	return func(w io.Writer, found []any) error { return executeEach(w, t, found) }, nil
}

// templateFailure is a template that does not parse: 64, EX_USAGE of sysexits.h.
func templateFailure(err error) error {
	text := "template parsing error: " + err.Error()
	return &failure{cause: err, line: text, docker: text, code: 64}
}

// writeArray does not escape <, > and &: people read it.
func writeArray(w io.Writer, found []any, indent string) error {
	if len(found) == 0 {
		found = []any{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if indent != "" {
		e.SetIndent("", indent)
	}
	return e.Encode(found)
}

// executeEach prints all that the template made, or an empty line where it made nothing at all.
func executeEach(w io.Writer, t *template.Template, found []any) error {
	var out bytes.Buffer
	var errs []error
	for _, v := range found {
		text, err := execute(t, v)
		if err != nil {
			errs = append(errs, plainFailure("template parsing error: %w", err))
			continue
		}
		out.WriteString(text + "\n")
	}
	if out.Len() == 0 {
		out.WriteByte('\n')
	}
	_, err := out.WriteTo(w)
	return errors.Join(append(errs, err)...)
}

// execute tries the typed value, whose fields have Go's names, and then the JSON that the user sees.
func execute(t *template.Template, v any) (string, error) {
	var out bytes.Buffer
	if only, is := v.(typed); is {
		err := t.Execute(&out, only.value)
		return out.String(), err
	}
	if t.Execute(&out, v) == nil {
		return out.String(), nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("unable to read inspect data: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return "", fmt.Errorf("unable to read inspect data: %w", err)
	}
	out.Reset()
	if err := t.Option("missingkey=error").Execute(&out, raw); err != nil {
		return "", err
	}
	return out.String(), nil
}
