package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// earlyEnd is a container of `run -d` that was over as soon as it began: what looks like a failure of `run` is mostly
// a shell that had nothing to read.
type earlyEnd struct {
	name, program string
	code          int
	stdin         bool
	after         time.Duration
}

func (e earlyEnd) print(w io.Writer) {
	name := strings.TrimPrefix(e.name, "/")
	base := e.program[strings.LastIndexByte(e.program, '/')+1:]
	fmt.Fprintf(w, "glassbox: %s exited (%d) after %d ms\n", name, e.code, e.after.Milliseconds())
	switch {
	case e.code == 0 && !e.stdin && strings.HasSuffix(base, "sh"):
		fmt.Fprintf(w, "  why:   a container lives as long as its PID 1: %s read end-of-file on stdin and was done\n", base)
		fmt.Fprintf(w, "  fix:   keep its stdin open (run -dit), or run a program that stays\n")
	case e.code == 0:
		fmt.Fprintf(w, "  why:   a container lives as long as its PID 1: %s had nothing more to do\n", base)
		fmt.Fprintf(w, "  check: glassbox logs %s\n", name)
	default:
		fmt.Fprintf(w, "  check: glassbox logs %s\n", name)
	}
}

// noteDeaf tells a person at the terminal of published ports behind which the process listens on its own loopback only.
func (c *call) noteDeaf(id string) {
	b, err := c.backend()
	if err != nil || !c.explains() {
		return
	}
	sentences, err := b.containers.Deaf(id)
	if err != nil {
		return
	}
	for _, s := range sentences {
		fmt.Fprintf(c.stderr, "glassbox: %s\n", s)
	}
}
