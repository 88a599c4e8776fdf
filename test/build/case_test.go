package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// Case is a file of testdata: a Dockerfile with its context. Lines above the first file say what is special; all others there are prose:
//
//	do: SCRIPT         is run in the context, to make what a txtar file cannot hold
//	build: ARGS        builds, with these arguments after -t; without any such line it is "build: ."
//	run: COMMAND -> WORDS
//	                   runs it in a container of the image: it prints these words
//	serve: ARGS        runs the image with -d and these
//	ask: SCRIPT -> WORDS
//	                   is run on the machine outside, until it prints these words
//	costly: WHY        only glassbox builds it, but for -all
//	slow: WHY          nobody builds it, but for -all
//	no BUILDER: WHY    the builder does not know it, or does it otherwise with reason
//	differs in PLACE: BUILDER: WHY
//	                   a line of a tree, a layer or a configuration that contains PLACE is not compared with that builder's
//
// The context's files have the mode 0644, or 0755 with a #! before them, and a time long ago.
type Case struct {
	Name    string
	Steps   []Step
	Uses    []Step // of what was built
	Costly  bool
	Slow    bool
	Without map[string]bool
	Differs map[string][]string
	Files   []txtar.File
}

// Step is one line that does something.
type Step struct {
	Verb, Text, Want string
}

func cases(t *testing.T, dir string) []*Case {
	t.Helper()
	names, err := filepath.Glob(dir + "/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no cases", err)
	}
	var all []*Case
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(strings.TrimSuffix(filepath.Base(name), ".txtar"), txtar.Parse(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, c)
	}
	return all
}

func parse(name string, a *txtar.Archive) (*Case, error) {
	c := &Case{Name: name, Files: a.Files, Without: map[string]bool{}, Differs: map[string][]string{}}
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch first, builder, _ := strings.Cut(word, " "); {
		case word == "do" || word == "build":
			c.Steps = append(c.Steps, Step{Verb: word, Text: rest})
		case word == "run" || word == "ask" || word == "serve":
			text, want, _ := strings.Cut(rest, " -> ")
			c.Uses = append(c.Uses, Step{word, text, want})
		case word == "costly":
			c.Costly = true
		case word == "slow":
			c.Slow = true
		case first == "no" && rest != "":
			c.Without[builder] = true
			if !known(builder) {
				return nil, fmt.Errorf("no builder is called %q", builder)
			}
		case strings.HasPrefix(word, "differs in "):
			builder, why, _ := strings.Cut(rest, ": ")
			if !known(builder) || why == "" {
				return nil, fmt.Errorf("%q: which builder, and why?", line)
			}
			c.Differs[builder] = append(c.Differs[builder], strings.TrimPrefix(word, "differs in "))
		}
	}
	if !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Verb == "build" }) {
		c.Steps = append(c.Steps, Step{Verb: "build", Text: "."})
	}
	return c, nil
}

func known(builder string) bool {
	return builder == "docker" || builder == "buildkit" || builder == "buildah"
}

// longAgo is a time that no builder gives to what it makes.
var longAgo = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

// furnish writes the context into a new directory.
func (c *Case) furnish(t *testing.T, dir string) {
	t.Helper()
	for _, f := range c.Files {
		path := filepath.Join(dir, f.Name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(string(f.Data), "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, longAgo, longAgo)
	})
	if err != nil {
		t.Fatal(err)
	}
}
