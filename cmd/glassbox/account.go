package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"glassbox/program"
)

// writeAccount prints what was, or would be, asked of the kernel: phase by phase, the host's half before the child's.
func writeAccount(w io.Writer, phases []program.Account, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(phases)
	}
	out := bufio.NewWriter(w)
	step := 0
	for i, p := range phases {
		if i == 0 && p.Plan {
			fmt.Fprintln(out, "plan: the kernel was not asked")
		}
		fmt.Fprintf(out, "\n-- %s: %s\n", p.Phase, p.Why)
		for _, d := range p.Host {
			writeDone(out, "host", d)
		}
		for _, d := range p.Child {
			step++ // counted as a failing step is reported: from 1, over all phases
			writeDone(out, fmt.Sprint(step), d)
		}
	}
	return out.Flush()
}

// writeDone is two lines: the call as strace prints it, and why it is made.
func writeDone(w io.Writer, who string, d program.Done) {
	at := ""
	if d.At > 0 {
		at = fmt.Sprintf("%.3f ms", float64(d.At)/float64(time.Millisecond))
	}
	result := ""
	if d.Result != "" {
		result = " = " + d.Result
	}
	fmt.Fprintf(w, "%5s %10s  %s%s\n", who, at, d.Call, result)
	from := ""
	if d.From != "" {
		from = " [" + d.From + "]"
	}
	fmt.Fprintf(w, "%5s %10s    %s%s\n", "", "", d.Why, from)
}
