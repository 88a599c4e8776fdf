package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"glassbox/engine"
	"glassbox/screen"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
)

// layersFlags are those of layers.
type layersFlags struct {
	layer, format string
	recursive     bool
	live          bool
}

func layersVerb() verb {
	return verb{
		use:   "layers [OPTIONS] IMAGE|CONTAINER [PATH]",
		short: "Show which layer supplies each file, and what layers hide", min: 1, max: 2, group: seeThrough, offers: offerImages | offerContainers,
		prepare: func(c *call) action {
			var f layersFlags
			c.flags.StringVarP(&f.layer, "layer", "l", "", `List all that one layer adds, changes and hides ("3", "upper")`)
			c.flags.BoolVarP(&f.recursive, "recursive", "r", false, "List directories with all below them")
			c.flags.StringVar(&f.format, "format", "", `"json": all of it, for programs`)
			c.flags.BoolVar(&f.live, "live", false, "Follow what a running container writes: copy-up, whiteouts, new files")
			return func(ctx context.Context, args []string) error { return c.layers(ctx, f, append(args, "")[:2]) }
		},
	}
}

func (c *call) layers(ctx context.Context, f layersFlags, args []string) error {
	switch {
	case f.format != "" && f.format != "json":
		return plainFailure("invalid format %q: json", f.format)
	case f.live && (f.layer != "" || f.recursive || args[1] != ""):
		return plainFailure("--live follows all of a container's writable layer: leave out --layer, --recursive and PATH")
	case f.layer != "" && args[1] != "":
		return plainFailure("--layer lists a whole layer: leave out %s", args[1])
	case f.recursive && args[1] == "":
		args[1] = "/"
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	if f.live {
		return c.layersLive(ctx, b, f, args[0])
	}
	l, err := b.layers(args[0], engine.LayersOptions{Layer: f.layer, Path: args[1], Recursive: f.recursive})
	if err != nil {
		return engineFailure(err)
	}
	w := bufio.NewWriterSize(c.stdout, 64<<10)
	p := &layersPrinter{Layers: l, w: w, command: c.name + " layers", width: screen.New(w, style(c.stdout, false)).Width(), layer: f.layer}
	switch {
	case f.format == "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "    ")
		e.SetEscapeHTML(false)
		err = e.Encode(l)
	case args[1] != "":
		p.files()
	case f.layer != "":
		p.changes()
	default:
		p.stack()
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// layersPrinter prints for people, in at most width columns.
type layersPrinter struct {
	*engine.Layers
	w       io.Writer
	command string
	layer   string // the one that is listed
	width   int
}

// mostShown is how many files are named on the first screen.
const mostShown = 5

func (p *layersPrinter) say(format string, a ...any) { put(p.w, format+"\n", a...) }

func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// count is a number, or nothing where that is easier to read.
func count(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// stack is the first screen: the layers as they lie, topmost first, and what they cost.
func (p *layersPrinter) stack() {
	p.say("%s", p.title())
	p.say("")
	p.say("%-6s %7s %7s %7s %8s %8s  %s", "LAYER", "ADDED", "CHANGED", "HIDES", "SIZE", "WASTED", "MADE BY")
	var all, wasted int64
	for i := len(p.Layers.Layers) - 1; i >= 0; i-- {
		l := p.Layers.Layers[i]
		all, wasted = all+l.Size, wasted+l.Wasted
		lost := "-"
		if l.Wasted > 0 {
			lost = size(l.Wasted)
		}
		p.say("%-6s %7s %7s %7s %8s %8s  %s", l.Name, count(l.Added), count(l.Changed), count(l.Hides), size(l.Size), lost, screen.Clip(p.made(l), p.width-50))
	}
	p.say("")
	p.copies()
	p.waste(all, wasted)
	p.next()
}

func (p *layersPrinter) title() string {
	n := 0
	for _, l := range p.Layers.Layers {
		if l.Number > 0 {
			n++
		}
	}
	layers := fmt.Sprintf("%d layers", n)
	if n == 1 {
		layers = "1 layer"
	}
	if p.Container == "" {
		return fmt.Sprintf("Image %s (%s): %s", p.Name, formatter.TruncateID(p.Image), layers)
	}
	state := "not running"
	if p.Running {
		state = "running"
	}
	return fmt.Sprintf("Container %s (%s) on the %s of image %s", p.Name, state, layers, formatter.TruncateID(p.Image))
}

// made says where a layer comes from.
func (p *layersPrinter) made(l *engine.Layer) string {
	switch {
	case l.Writable:
		return "what this container has written"
	case l.Name == "init":
		return "what every container has: /.dockerenv, /etc/hosts ..."
	case l.Number == 0:
		return "mount points of this RUN"
	case l.CreatedBy == "":
		return "(no history)"
	}
	by := strings.TrimPrefix(l.CreatedBy, "/bin/sh -c ")
	by = strings.TrimPrefix(strings.TrimPrefix(by, "#(nop)"), " ")
	return screen.Shown(strings.Join(strings.Fields(by), " "))
}

// copies tells where a container writes, and what it cost to change files of its image.
func (p *layersPrinter) copies() {
	top := p.Layers.Layers[len(p.Layers.Layers)-1]
	if !top.Writable {
		return
	}
	p.say("Upper is this directory:")
	p.say("%s", top.Dir)
	p.say("")
	if top.CopiedUp == 0 {
		return
	}
	files := "files"
	if top.CopiedUp == 1 {
		files = "file"
	}
	p.say("Copied up: %d %s, %s. To change one byte of a lower layer's file, overlayfs copies all of it first.", top.CopiedUp, files, size(top.Copied))
	listed := 0
	for _, c := range p.Wasted {
		if c.Copied == 0 || listed == mostShown {
			continue
		}
		listed++
		p.say("%9s  %s", size(c.Copied), screen.Clip(fmt.Sprintf("%s (of %s)", screen.Shown(c.Path), p.of(c)), p.width-11))
	}
	p.say("")
}

// of names the layers of which something is hidden.
func (p *layersPrinter) of(c engine.LayerChange) string {
	var all []string
	for _, i := range c.Of {
		all = append(all, p.Layers.Layers[i].Name)
	}
	if len(all) == 1 {
		return "layer " + all[0]
	}
	return "layers " + strings.Join(all, ", ")
}

// waste tells what is kept, pulled and pushed although nobody sees it.
func (p *layersPrinter) waste(all, wasted int64) {
	if wasted == 0 {
		p.say("No layer hides bytes of another: all %s can be seen.", size(all))
		return
	}
	p.say("Wasted: %s of %s (%.0f%%). Layers above hide it; it is stored, pulled and pushed all the same.", size(wasted), size(all), 100*float64(wasted)/float64(max(all, 1)))
	listed := 0
	for _, c := range p.Wasted {
		if c.Bytes == 0 || listed == mostShown {
			continue
		}
		listed++
		p.say("%9s  %s", size(c.Bytes), screen.Clip(fmt.Sprintf("%s (of %s, %s by %s)", screen.Shown(c.Path), p.of(c), done(c), p.Layers.Layers[c.By].Name), p.width-11))
	}
}

func done(c engine.LayerChange) string {
	switch {
	case c.Kind == engine.Hidden:
		return "removed"
	case c.Copied > 0:
		return "copied up"
	}
	return "replaced"
}

// next ends the screen with the command that shows more of what stands out.
func (p *layersPrinter) next() {
	p.say("")
	switch {
	case len(p.Wasted) > 0:
		p.say("Next: %s %s %s", p.command, p.Name, screen.Shown(p.Wasted[0].Path))
	case len(p.Layers.Layers) > 0:
		p.say("Next: %s --layer %s %s", p.command, p.Layers.Layers[len(p.Layers.Layers)-1].Name, p.Name)
	}
}

// changes lists what one layer does.
func (p *layersPrinter) changes() {
	for _, l := range p.Layers.Layers {
		if l.Name == p.layer {
			p.say("Layer %s of %s, %s: %s", l.Name, p.Name, size(l.Size), screen.Clip(p.made(l), p.width))
			p.say("")
		}
	}
	if len(p.Changes) == 0 {
		p.say("It does nothing to the layers below it.")
	}
	for _, c := range p.Changes {
		name := c.Path
		if c.Directory {
			name += "/"
		}
		name = screen.Shown(name)
		var notes []string
		if c.Opaque {
			notes = append(notes, "opaque")
		}
		if c.Copied > 0 {
			notes = append(notes, size(c.Copied)+" copied up")
		}
		if c.Names > 0 {
			notes = append(notes, p.hidden(c))
		}
		if c.Kind == engine.Hidden && c.Names == 0 {
			notes = append(notes, "hides nothing")
		}
		held := "-"
		if c.Kind != engine.Hidden && !c.Directory {
			held = size(c.Size)
		}
		line := fmt.Sprintf("%s %8s  %s", c.Kind, held, name)
		if len(notes) > 0 {
			line += "  (" + strings.Join(notes, ", ") + ")"
		}
		p.say("%s", line)
	}
	p.say("")
	name := "PATH"
	if i := slices.IndexFunc(p.Changes, func(c engine.LayerChange) bool { return c.Names > 0 }); i >= 0 {
		name = screen.Shown(p.Changes[i].Path)
	}
	p.say("Next: %s %s %s", p.command, p.Name, name)
}

func (p *layersPrinter) hidden(c engine.LayerChange) string {
	what := "hides"
	if c.Names > 1 {
		what = fmt.Sprintf("hides %d names,", c.Names)
	}
	return fmt.Sprintf("%s %s of %s", what, size(c.Bytes), p.of(c))
}

// files lists what the layers have at a path; what nobody sees says so.
func (p *layersPrinter) files() {
	p.say("%-6s %-10s %-11s %8s  %s", "LAYER", "MODE", "OWNER", "SIZE", "FILE")
	for _, f := range p.Files {
		held := "-"
		if f.Kind == "file" {
			held = size(f.Size)
		}
		mode, owner := listedMode(f.Mode), fmt.Sprintf("%d:%d", f.UID, f.GID)
		if f.Kind == "whiteout" || f.Kind == "hidden by its directory" {
			mode, owner = "whiteout", "-"
		}
		p.say("%-6s %-10s %-11s %8s  %s%s", p.Layers.Layers[f.Layer].Name, mode, owner, held, screen.Shown(f.Path), p.notes(f))
	}
	p.say("")
	first := p.Files[0]
	if first.Kind == "whiteout" {
		p.say("Next: %s --layer %s %s", p.command, p.Layers.Layers[first.Layer].Name, p.Name)
		return
	}
	p.say("On this host: %s", screen.Shown(first.Host))
	p.say("Next: %s --layer %s %s", p.command, p.Layers.Layers[first.Layer].Name, p.Name)
}

// listedMode is a mode as ls(1) has it.
func listedMode(m fs.FileMode) string {
	b := []byte("-" + m.Perm().String()[1:])
	for bit, letter := range map[fs.FileMode]byte{fs.ModeDir: 'd', fs.ModeSymlink: 'l', fs.ModeNamedPipe: 'p', fs.ModeSocket: 's', fs.ModeDevice: 'b'} {
		if m&bit != 0 {
			b[0] = letter
		}
	}
	if m&fs.ModeCharDevice != 0 {
		b[0] = 'c'
	}
	for i, special := range []struct {
		bit    fs.FileMode
		letter byte
	}{{fs.ModeSetuid, 's'}, {fs.ModeSetgid, 's'}, {fs.ModeSticky, 't'}} {
		at := 3 + 3*i
		if m&special.bit == 0 {
			continue
		}
		if b[at] == '-' {
			special.letter -= 'a' - 'A'
		}
		b[at] = special.letter
	}
	return string(b)
}

func (p *layersPrinter) notes(f engine.LayerFile) string {
	var notes []string
	if f.Target != "" {
		notes = append(notes, "-> "+screen.Shown(f.Target))
	}
	switch {
	case f.Kind == "hidden by its directory":
		notes = append(notes, "(hidden: its directory is opaque)")
	case f.Kind == "whiteout":
		notes = append(notes, "(hides what is below)")
	case !f.Shown:
		notes = append(notes, "(hidden)")
	case f.Kind == "opaque directory":
		notes = append(notes, "(opaque: hides the directory below)")
	}
	if len(f.Others) > 0 && f.Kind != "whiteout" {
		var names []string
		for _, i := range f.Others {
			names = append(names, p.Layers.Layers[i].Name)
		}
		notes = append(notes, "(also in "+strings.Join(names, ", ")+")")
	}
	if len(notes) == 0 {
		return ""
	}
	return " " + strings.Join(notes, " ")
}
