// Package event is the journal of what happened to containers, images, networks and volumes: written by whoever does it, read by `events`.
//
// The journal is a file, RUN/events, to which everybody appends lines, and its predecessor, RUN/events.1. A line is an event in JSON, as
// `docker events --format json` prints it, with a member more where there are notes. Whoever appends holds the file's lock meanwhile, for a few microseconds, so lines stand in the
// order of their times. At `limit` bytes a file is closed for good: whoever finds it so renames it and begins a new one. Since nobody
// appends to a file that has been renamed, a reader that follows misses nothing if it reads to the old one's end first.
package event

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"glassbox/store"
)

// Event is one thing that happened, in the words of Docker's API (types/events).
type Event struct {
	Type       string            // container, image, network, volume, builder, daemon
	Action     string            // create, start, die, "health_status: healthy", "exec_start: ls -l", ...
	ID         string            // of the container, image or network; the volume's name; empty for a prune
	Attributes map[string]string // of the actor: a container's image, name and labels, exitCode, signal, ...
	Time       time.Time         // zero: when it is appended
	Notes      map[string]string // what Docker's API has no place for: kept, and left out of what `events` prints
}

// Attributes are made of pairs: a name and its value.
func Attributes(pairs ...string) map[string]string {
	a := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		a[pairs[i]] = pairs[i+1]
	}
	return a
}

// append encodes by hand: the monitor, which appends too, has nothing of encoding/json in memory. The members stand in Docker's
// order; containers and images are named twice, for clients of before 2016.
func (e Event) append(b []byte) []byte {
	b = append(b, '{')
	if e.Type == "container" || e.Type == "image" {
		b = member(b, "status", e.Action)
		if e.ID != "" {
			b = member(b, "id", e.ID)
		}
		if image := e.Attributes["image"]; e.Type == "container" && image != "" {
			b = member(b, "from", image)
		}
	}
	b = member(b, "Type", e.Type)
	b = member(b, "Action", e.Action)
	b = append(b, `"Actor":{`...)
	b = member(b, "ID", e.ID)
	b = append(b, `"Attributes":{`...)
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		b = member(b, name, e.Attributes[name])
	}
	b = append(closed(b), `},"scope":"local","time":`...)
	b = strconv.AppendInt(b, e.Time.Unix(), 10)
	b = append(b, `,"timeNano":`...)
	b = strconv.AppendInt(b, e.Time.UnixNano(), 10)
	if len(e.Notes) > 0 {
		b = append(b, `,"Notes":{`...)
		for _, name := range slices.Sorted(maps.Keys(e.Notes)) {
			b = member(b, name, e.Notes[name])
		}
		b = closed(b)
	}
	return append(b, "}\n"...)
}

func member(b []byte, name, value string) []byte {
	b = store.AppendJSON(append(b, '"'), []byte(name))
	b = store.AppendJSON(append(b, `":"`...), []byte(value))
	return append(b, `",`...)
}

// closed ends an object whose members end in commas.
func closed(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// decode reads a line.
func decode(line []byte) (Event, error) {
	var l struct {
		Type, Action string
		Actor        struct {
			ID         string
			Attributes map[string]string
		}
		TimeNano int64
		Notes    map[string]string
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return Event{}, err
	}
	if l.Type == "" || l.Action == "" || l.TimeNano == 0 {
		return Event{}, errors.New("no type, action or time")
	}
	return Event{Type: l.Type, Action: l.Action, ID: l.Actor.ID, Attributes: l.Actor.Attributes, Time: time.Unix(0, l.TimeNano), Notes: l.Notes}, nil
}
