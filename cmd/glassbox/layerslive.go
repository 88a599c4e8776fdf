package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"glassbox/engine"
	"glassbox/screen"
)

// layersLive tells what happens to a container's writable layer, until it ends or somebody types Ctrl-C.
func (c *call) layersLive(ctx context.Context, b *backend, f layersFlags, id string) error {
	if f.format == "json" {
		e := json.NewEncoder(c.stdout)
		e.SetEscapeHTML(false)
		return engineFailure(b.layersLive(ctx, id, nil, func(event engine.LiveEvent) error { return e.Encode(event) }))
	}
	p := &livePrinter{call: c, width: screen.New(c.stdout, style(c.stdout, false)).Width(), terminal: isTerminal(c.stdout)}
	err := b.layersLive(ctx, id, p.begin, p.event)
	if p.begun {
		p.end()
	}
	return engineFailure(err)
}

// livePrinter prints events for people, and on a terminal what they add up to below them.
type livePrinter struct {
	*call
	name     string
	width    int
	terminal bool
	begun    bool
	total    engine.LiveTotals
}

const eraseLine = "\r\033[K"

func (p *livePrinter) begin(l *engine.Layers) {
	p.begun, p.name = true, l.Name
	put(p.stdout, "What is written in container %s, as it happens (Ctrl-C ends):\n\n%-8s  %-9s %8s  %s\n", l.Name, "TIME", "EVENT", "BYTES", "FILE")
	p.status()
}

func (p *livePrinter) event(e engine.LiveEvent) error {
	p.total = e.Total
	line := fmt.Sprintf("%s  %-9s %8s  %s", e.At.Local().Format("15:04:05"), e.Kind, liveBytes(e), screen.Clip(liveWords(e), p.width-30))
	if p.terminal {
		line = eraseLine + line
	}
	if _, err := fmt.Fprintln(p.stdout, line); err != nil {
		return err
	}
	p.status()
	return nil
}

// status is the last line of a terminal.
func (p *livePrinter) status() {
	if p.terminal {
		put(p.stdout, "%s", eraseLine+screen.Clip("So far: "+liveSum(p.total), p.width))
	}
}

func (p *livePrinter) end() {
	if p.terminal {
		put(p.stdout, "%s", eraseLine)
	}
	s := screen.New(p.stdout, style(p.stdout, false))
	s.Verbatim(0, "\n")
	s.Say("Total: %s", liveSum(p.total))
	s.Next(p.call.name+" layers --layer upper "+p.name, "all that it has written")
	_ = s.Flush()
}

// liveBytes are those that an event is about.
func liveBytes(e engine.LiveEvent) string {
	switch {
	case e.Kind == engine.LiveCopyUp && !e.Directory:
		return size(e.Copied)
	case e.Kind == engine.LiveWhiteout, e.Kind == engine.LiveOpaque:
		return size(e.Hidden)
	case e.Directory || e.Gone || e.Path == "":
		return "-"
	}
	return size(e.Size)
}

// liveWords name the file and say what the event means.
func liveWords(e engine.LiveEvent) string {
	name := screen.Shown(e.Path)
	if e.Directory && e.Path != "/" {
		name += "/"
	}
	of := "layer " + strings.Join(e.Of, ", ")
	if len(e.Of) > 1 {
		of = "layers " + strings.Join(e.Of, ", ")
	}
	hides := "hides " + of + "'s"
	if e.Names > 1 {
		hides = fmt.Sprintf("hides %d names of %s", e.Names, of)
	}
	switch {
	case e.Kind == engine.LiveOverflow:
		return "notices were lost; everything was looked at again"
	case e.Kind == engine.LiveBlind:
		return name + " cannot be watched (fs.inotify.max_user_watches): it is looked at four times a second"
	case e.Gone:
		return name + " (removed again)"
	case e.Kind == engine.LiveCopyUp && e.Directory:
		return name + " (" + of + "'s directory, to hold a change)"
	case e.Kind == engine.LiveCopyUp:
		return name + " (all of " + of + "'s file)"
	case e.Names > 0:
		return name + " (" + hides + ")"
	}
	return name
}

func liveSum(t engine.LiveTotals) string {
	return fmt.Sprintf("%d new, %d copied up (%s), whiteouts: %d, opaque directories: %d (%s hidden), %d changed, %d removed",
		t.New, t.CopiedUp, size(t.Copied), t.Whiteouts, t.Opaque, size(t.Hidden), t.Changed, t.Removed)
}
