package mechanism

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write MECHANISMS.md anew")

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All {
		if seen[m.Name] {
			t.Errorf("%s stands twice", m.Name)
		}
		seen[m.Name] = true
		if m.What == "" || m.Missing == "" || m.Manual == "" || m.Lab == "" || len(m.Calls) == 0 || len(m.Files) == 0 {
			t.Errorf("%s: something is empty: %+v", m.Name, m)
		}
		for _, f := range append(m.Files, "labs/"+m.Lab+".txtar") {
			if _, err := os.Stat("../" + f); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
	}
}

// document is MECHANISMS.md.
func document() string {
	var w strings.Builder
	w.WriteString(`# What makes a container

Each mechanism, what asks the kernel for it, where that is written here, and the lesson about it. ` + "`glassbox run --explain`" + ` shows the calls of a
start with the reason for each, ` + "`glassbox run --step`" + ` makes them one by one, ` + "`glassbox experiment --without NAME`" + ` shows what is missing
without one, and ` + "`glassbox lab start LESSON`" + ` begins the lesson. The table is package [mechanism](mechanism/mechanism.go)'s; a test keeps it so.

| name | what it does | kernel call | manual | our file | lesson | without it |
|---|---|---|---|---|---|---|
`)
	for _, m := range All {
		var files []string
		for _, f := range m.Files {
			files = append(files, fmt.Sprintf("[%s](%s)", f, f))
		}
		calls := "`" + strings.Join(m.Calls, "`, `") + "`"
		missing := m.Missing
		if m.Danger != "" {
			missing += "; **danger:** " + m.Danger
		}
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | [%s](labs/%s.txtar) | %s |\n", m.Name, m.What, strings.ReplaceAll(calls, "|", `\|`), m.Manual, strings.Join(files, ", "), m.Lab, m.Lab, missing)
	}
	return w.String()
}

func TestDocument(t *testing.T) {
	const path = "../MECHANISMS.md"
	if *update {
		if err := os.WriteFile(path, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != document() {
		t.Error("MECHANISMS.md is not what the table says: go test ./mechanism -update")
	}
}
