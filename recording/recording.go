// Package recording keeps what a run showed, so that it can be shown again elsewhere: the machine, every request made of the kernel, views of
// the container while it ran, its output and how it ended.
//
// A recording is a file of JSON lines, written as things happen: a header, then entries. Whatever ends the writer, the file can be replayed
// as far as it goes, and the lack of its last entry tells that it was cut short. What people look at is kept as the text that was drawn
// when it happened, since only then the kernel held it; beside it stand the data, for programs. A replay needs no root, no store and no
// feature of a kernel, and trusts the file with nothing: what would move a terminal's cursor is written out.
package recording

import (
	"encoding/json"
	"fmt"
	"time"

	"glassbox/doctor"
)

// Format is the number of the file's format, in its first line.
const Format = 1

// Header is the first line.
type Header struct {
	Format   int            `json:"glassbox recording"`
	Glassbox string         `json:"glassbox"` // the version that recorded
	Date     time.Time      `json:"date"`
	Command  []string       `json:"command"`            // as it was typed
	Terminal bool           `json:"terminal,omitempty"` // the container had one: its output may hold escape sequences
	Machine  doctor.Machine `json:"machine"`
	Checks   Checks         `json:"checks"`
}

// Checks is what doctor found, in short.
type Checks struct {
	Pass     int      `json:"pass"`
	Warn     int      `json:"warn"`
	Fail     int      `json:"fail"`
	Troubles []string `json:"troubles,omitempty"` // "cgroups/memory: ..."
}

// Kinds of entries.
const (
	kindAccount = "account" // one phase of the start
	kindView    = "view"
	kindOutput  = "output"
	kindNote    = "note" // something that is missing, and why
	kindEnd     = "end"  // the last one
)

// entry is any other line.
type entry struct {
	Kind  string          `json:"kind"`
	At    time.Duration   `json:"at_ns"` // since the recording began
	Title string          `json:"title,omitempty"`
	Text  string          `json:"text,omitempty"`  // as it was drawn; of output, what was written, if it is UTF-8
	Bytes []byte          `json:"bytes,omitempty"` // output that is not
	Err   bool            `json:"stderr,omitempty"`
	Code  int             `json:"code,omitempty"` // the end's exit code
	Data  json.RawMessage `json:"data,omitempty"`
}

// written is what a program has written, in an entry of output.
func (e *entry) written() []byte {
	if e.Bytes != nil {
		return e.Bytes
	}
	return []byte(e.Text)
}

// OtherFormat is a recording that this version cannot read.
type OtherFormat struct {
	Format   int
	Glassbox string
}

func (e *OtherFormat) Error() string {
	return fmt.Sprintf("it is a recording of format %d, made by glassbox %q: this version reads format %d", e.Format, e.Glassbox, Format)
}

// summary is doctor's report in short.
func summary(r doctor.Report) Checks {
	c := Checks{Pass: r.Pass, Warn: r.Warn, Fail: r.Fail}
	for _, one := range r.Checks {
		if one.Result == doctor.Fail {
			c.Troubles = append(c.Troubles, one.Area+"/"+one.Name+": "+one.Found)
		}
	}
	return c
}
