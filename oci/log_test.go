package oci_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Errors stand on stderr, and in the log in the form that engines read.
func TestLog(t *testing.T) {
	b := newBox(t, "true")
	const message = "container does not exist"
	refuse := func(global ...string) string {
		a := b.run(append(global, "state", "nobody")...)
		if a.Code != 1 || !strings.Contains(a.Errs, message) {
			t.Errorf("%v: %+v", global, a)
		}
		return a.Errs
	}
	if errs := refuse(); errs != "glassrun: "+message {
		t.Errorf("%q", errs)
	}
	var e struct{ Level, Msg, Time string }
	if err := json.Unmarshal([]byte(refuse("--log-format", "json")), &e); err != nil || e.Level != "error" || e.Msg != message {
		t.Errorf("%v %+v", err, e)
	}
	log := b.Path("log.json")
	for range 2 {
		refuse("--log", log, "--log-format=json")
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Level != "error" || e.Msg != message {
			t.Errorf("%v %q", err, line)
		}
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(string(text), "\n"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, text)
	}
	refuse("--log", b.Path("log"))
	text, _ = os.ReadFile(b.Path("log"))
	if !regexp.MustCompile(`^time="[^"]+" level=error msg="container does not exist"\n$`).Match(text) {
		t.Errorf("%q", text)
	}
	b.refused(1, "invalid log-format: xml", "--log-format", "xml", "list")
	b.refused(1, "writing the log", "--log", b.Path("no/where"), "state", "nobody")
}

// --debug has the log tell of each call. Nobody finds them on a container's stderr.
func TestDebug(t *testing.T) {
	b := newBox(t, "true")
	a := b.run("--debug", "--log", b.Path("log"), "--log-format", "json", "run", "--bundle", b.written(), b.ID)
	if a.Code != 0 || a.Out+a.Errs != "" {
		t.Errorf("%+v", a)
	}
	text, _ := os.ReadFile(b.Path("log"))
	for _, want := range []string{`"level":"debug"`, "clone3(", "pivot_root(", "execve("} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

func TestHelp(t *testing.T) {
	b := newBox(t)
	commands := b.ok("help")
	for _, name := range strings.Fields("create start state kill delete run exec ps list pause resume update events spec features explain") {
		if !strings.Contains(commands, "\n  "+name+" ") {
			t.Errorf("help lacks %s", name)
		}
		for _, args := range [][]string{{name, "--help"}, {"help", name}, {name, "-h"}} {
			if out := b.ok(args...); !strings.HasPrefix(out, "Usage: glassrun "+name) {
				t.Errorf("%v: %q", args, out)
			}
		}
		for line := range strings.Lines(b.ok(name, "--help")) {
			if option, ok := strings.CutPrefix(line, "  --"); ok && len(strings.SplitN(strings.TrimSpace(option), "   ", 2)) != 2 {
				t.Errorf("%s: nothing is said of --%s", name, option)
			}
		}
	}
	for _, flag := range []string{"--version", "-v"} {
		if out := b.ok(flag); !regexp.MustCompile(`^glassrun version \S+\nspec: 1\.\d+\.\d+\ngo: go1\S+$`).MatchString(out) {
			t.Errorf("%q", out)
		}
	}
	b.refused(1, "flag provided but not defined: -frob", "list", "--frob")
	b.refused(1, "flag provided but not defined: -frob", "--frob", "list")
	b.refused(3, `unknown command "frob"`, "frob") // runc's code
}
