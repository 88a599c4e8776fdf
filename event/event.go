// Package event is the journal of what happened to containers, images, networks and volumes: written by whoever does it, read by `events`.
package event

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// Event is one thing that happened, in the words of Docker's API (types/events).
type Event struct {
	Type       string            // container, image, network, volume, builder, daemon
	Action     string            // create, start, die, "health_status: healthy", "exec_start: ls -l", ...
	ID         string            // of the container, image or network; the volume's name
	Attributes map[string]string // of the actor: a container's image, name and labels, exitCode, signal, ...
	Time       time.Time
}

// Journal is the file that everybody appends to: one line of JSON an event, as `docker events --format json` prints it.
type Journal struct{ Path string }

// Append adds an event in one write(2): with O_APPEND lines of several writers do not mix. It encodes by hand: the monitor, which
// calls it too, has nothing of encoding/json in memory.
func (j Journal) Append(e Event) error {
	fd, err := unix.Open(j.Path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: j.Path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, e.encode()); err != nil {
		return &os.PathError{Op: "append to", Path: j.Path, Err: err}
	}
	return nil
}

// encode is Docker's order of members. A container's event names it three times, for clients of before 2016.
func (e Event) encode() []byte {
	b := []byte("{")
	if e.Type == "container" {
		b = member(b, "status", e.Action)
		b = member(b, "id", e.ID)
		if image := e.Attributes["image"]; image != "" {
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
