// Command report reads the output of `go test -json` and prints what a reader wants of it: a line for each package, and all that a
// failed test said. Skipped tests with their reasons, and the names of failed ones, are added to files.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// name is a test within its package, or the package itself.
type name struct{ pkg, test string }

func main() {
	skips := flag.String("skips", "", "add skipped tests to this `file`")
	failures := flag.String("failures", "", "add failed tests to this `file`")
	flag.Parse()
	r := report{out: os.Stdout, said: map[name][]string{}}
	r.read(os.Stdin)
	for path, lines := range map[string][]string{*skips: r.skips, *failures: r.failures} {
		if err := add(path, lines); err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
			os.Exit(2)
		}
	}
	if len(r.failures) > 0 {
		os.Exit(1)
	}
}

type report struct {
	out             io.Writer
	said            map[name][]string
	skips, failures []string
}

func (r *report) read(in io.Reader) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			return
		}
	}
}

func (r *report) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		// Not test2json's: what go itself says, such as a download.
		fmt.Fprint(r.out, line)
		return
	}
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.said[n] = append(r.said[n], e.Output)
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "SKIP: ")) {
			fmt.Fprint(r.out, e.Output)
		}
		if strings.HasPrefix(e.Output, "SKIP: ") {
			r.skips = append(r.skips, e.Package+": "+strings.TrimSpace(e.Output[6:]))
		}
	case "skip":
		if e.Test != "" {
			r.skips = append(r.skips, e.Package+" "+e.Test+": "+reason(r.said[n]))
		}
	case "fail":
		r.fail(n)
	}
	if e.Action == "pass" || e.Action == "skip" || e.Action == "fail" {
		delete(r.said, n)
	}
}

func (r *report) fail(n name) {
	for _, line := range r.said[n] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(r.out, line)
		}
	}
	r.failures = append(r.failures, strings.TrimSpace(n.pkg+" "+n.test))
}

// reason is what a skipped test said, without test2json's own lines and without the place in the source.
func reason(said []string) string {
	for _, line := range said {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") || line == "" {
			continue
		}
		if _, text, found := strings.Cut(line, ": "); found {
			return text
		}
		return line
	}
	return "no reason given"
}

func add(path string, lines []string) error {
	if path == "" || len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, strings.Join(lines, "\n"))
	return err
}
