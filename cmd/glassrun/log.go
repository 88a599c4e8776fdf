package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"glassbox/program"
)

// entry is a line of the log. Engines look for the last one whose level is error.
type entry struct {
	Level string `json:"level"`
	Msg   string `json:"msg"`
	Time  string `json:"time"`
}

// log writes a line where --log says, and else to stderr: there people read it.
func (g globals) log(level, message string) {
	e := entry{level, message, time.Now().Format(time.RFC3339)}
	if g.logFile == "" {
		fmt.Fprintln(os.Stderr, e.line(g.logFormat, e.plain()))
		return
	}
	f, err := os.OpenFile(g.logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = fmt.Fprintln(f, e.line(g.logFormat, e.text()))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "glassrun: writing the log: %v\n", err)
	}
}

// line is the entry as JSON, if that is the format, or else as it reads.
func (e entry) line(format, otherwise string) string {
	if format == "json" {
		b, _ := json.Marshal(e) // three strings
		return string(b)
	}
	return otherwise
}

func (e entry) text() string { return fmt.Sprintf("time=%q level=%s msg=%q", e.Time, e.Level, e.Msg) }

func (e entry) plain() string {
	if e.Level == "error" {
		return "glassrun: " + e.Msg
	}
	return "glassrun: " + e.Level + ": " + e.Msg
}

// warn tells of what failed and changes nothing.
func (g globals) warn(err error) { g.log("warning", err.Error()) }

// report tells of the error that ended the command, unless the command has said everything, and returns the exit code. With a log, stderr
// has it too.
func (g globals) report(err error) int {
	code, special := exit(0), (*coded)(nil)
	switch h := (*helpWanted)(nil); {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &h):
		return g.report(help(os.Stdout))
	case errors.As(err, &special):
		code = exit(special.code)
	default:
		code = 1
	}
	g.log("error", err.Error())
	if g.logFile != "" {
		fmt.Fprintf(os.Stderr, "glassrun: %v\n", err)
	}
	return int(code)
}

// account is what --debug has the log tell: each call that was made.
func (g globals) account(accounts []program.Account) {
	for _, a := range accounts {
		for _, calls := range [][]program.Done{a.Host, a.Child} {
			for _, d := range calls {
				g.log("debug", fmt.Sprintf("%s: %s = %s: %s", a.Phase, d.Call, d.Result, d.Why))
			}
		}
	}
}
