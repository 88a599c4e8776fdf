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
	why := "a container lives as long as its PID 1: " + base
	switch {
	case e.code == 0 && !e.stdin && strings.HasSuffix(base, "sh"):
		card{why: why + " read end-of-file on stdin and was done", fix: "keep its stdin open (run -dit), or run a program that stays"}.print(w)
	case e.code == 0:
		card{why: why + " had nothing more to do", check: "glassbox logs " + name}.print(w)
	default:
		card{check: "glassbox logs " + name}.print(w)
	}
}
