package commands

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/docker"
)

var update = flag.Bool("update", false, "write COMMANDS.md anew")

// absent are the commands of Docker's that glassbox does not have: the issue that brings each, or why none ever will.
var absent = []Absence{
	{Command: "trust", Why: "never: Notary v1 is being shut down, and Docker removes the command with version 29"},
	{Command: "checkpoint", Why: "never: it is CRIU's work, and experimental in Docker"},
	{Command: "context", Why: "never: contexts choose between daemons, and there is none"},
	{Command: "plugin", Why: "never: plugins are programs that a daemon starts and asks"},
	{Command: "volume update", Why: "never: it is for Swarm's cluster volumes"},
	{Command: "config", Why: "never: Swarm, whose managers are daemons"},
	{Command: "node", Why: "never: Swarm, whose managers are daemons"},
	{Command: "secret", Why: "never: Swarm, whose managers are daemons"},
	{Command: "service", Why: "never: Swarm, whose managers are daemons"},
	{Command: "stack", Why: "never: Swarm, whose managers are daemons"},
	{Command: "swarm", Why: "never: Swarm, whose managers are daemons"},
}

// hidden are the flags that Docker takes and its help does not name (MarkHidden, MarkDeprecated in its source).
var hidden = map[string][]Flag{
	"container run":     {{Name: "net", Value: "network"}, {Name: "net-alias", Value: "list"}, {Name: "dns-opt", Value: "list"}},
	"container create":  {{Name: "net", Value: "network"}, {Name: "net-alias", Value: "list"}, {Name: "dns-opt", Value: "list"}},
	"container update":  {{Name: "kernel-memory", Value: "bytes"}},
	"container stop":    {{Name: "time", Value: "int"}},
	"container restart": {{Name: "time", Value: "int"}},
}

// dockers are all commands of the real Docker.
func dockers(t *testing.T) []*Usage {
	binary, err := filepath.Abs("../../.cache/docker/docker")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Skip("needs Docker 28.5.2: test/tools/docker/build.sh test/.cache/docker")
	}
	env := []string{"HOME=" + t.TempDir(), "DOCKER_HOST=unix:///nonexistent"}
	all, err := Usages(binary, env)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 120 {
		t.Fatalf("the help of Docker names %d commands only", len(all))
	}
	for _, u := range all {
		for _, f := range hidden[u.Name()] {
			f.Hidden = true
			u.Flags = append(u.Flags, f)
		}
	}
	return all
}

func parsed(t *testing.T) (all []*docker.Session) {
	names, err := filepath.Glob("../testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no sessions", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := docker.Parse(filepath.Base(name), data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestCommands: every command and flag of Docker's is in a session or in the list of those that are absent, and COMMANDS.md says
// what the sessions show.
func TestCommands(t *testing.T) {
	usages := dockers(t)
	p, err := Prove(parsed(t), usages)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Missing(usages, absent, p) {
		t.Errorf("no session shows %s", m)
	}
	for _, a := range Arrived(usages, absent, p) {
		t.Errorf("said to be absent, but shown: %s", a)
	}
	for _, a := range absent {
		if !slices.ContainsFunc(usages, func(u *Usage) bool { return absence([]Absence{a}, u.Name()) != nil }) {
			t.Errorf("Docker has no command %q that could be absent", a.Command)
		}
	}
	const path = "../../../COMMANDS.md"
	table := Table(usages, absent, p)
	if *update {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != table {
		t.Errorf("COMMANDS.md is not what the sessions show; go test ./test/docker/commands -update writes it; the first line that differs is\n%s",
			firstDifference(string(written), table))
	}
}

func firstDifference(written, derived string) string {
	was, is := strings.Split(written, "\n"), strings.Split(derived, "\n")
	for i, line := range is {
		if i >= len(was) || was[i] != line {
			return line
		}
	}
	return "(the file has more lines)"
}
