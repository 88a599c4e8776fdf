package oci

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/confine"
	"glassbox/runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// FuzzState reads what may be left of a state.json, and of the rules for an exec: an error names the file, and a container is never said to
// live in a process that is not the one it was.
func FuzzState(f *testing.F) {
	began, err := runtime.Began(os.Getpid())
	if err != nil {
		f.Fatal(err)
	}
	rules := `{"Filter":{"Program":"AAAA","Flags":2},"Personality":{"domain":"LINUX32"},"Process":{"args":["x"],"cwd":"/"},"Memory":{"mode":"MPOL_BIND","nodes":"0-1"}}`
	for _, state := range []string{
		`{"ociVersion":"1.3.0","id":"a","pid":1,"began":1,"group":"/sys/fs/cgroup/x","created":"2026-01-02T03:04:05Z","annotations":{"a":"b"},"hooks":true}`,
		fmt.Sprintf(`{"id":"a","pid":%d,"began":%d}`, os.Getpid(), began), fmt.Sprintf(`{"pid":%d,"began":%d}`, os.Getpid(), began+1),
		`{"pid":-1}`, `{"pid":1e3}`, `{"created":"yesterday"}`, `{"group":"/../../.."}`, `{"group":"\u0000"}`, `[]`, `null`, `{"pid":`, ``, `{"annotations":[1]}`,
	} {
		f.Add([]byte(state), []byte(rules))
	}
	s := Store{Root: f.TempDir()}
	dir := filepath.Join(s.Root, "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, state, rules []byte) {
		for name, text := range map[string][]byte{fileState: state, fileRules: rules} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		further(t, filepath.Join(dir, fileRules))
		c, err := s.Container("a")
		if err != nil {
			if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), fileState) {
				t.Errorf("%q: %v", state, err)
			}
			return
		}
		told := c.State()
		if err := told.Print(io.Discard); err != nil {
			t.Errorf("%q cannot be told: %v", state, err)
		}
		if began, err := runtime.Began(told.Pid); told.Pid != 0 && (err != nil || began != c.Began) {
			t.Errorf("%q is said to live in process %d (%v)", state, told.Pid, err)
		}
		if _, err := s.List(); err != nil {
			t.Error(err)
		}
	})
}

// further compiles a further process under rules that were read.
func further(t *testing.T, path string) {
	var rules runtime.Rules
	if err := readDocument(path, &rules); err != nil {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		return
	}
	inherited, err := confine.Observe()
	if err != nil {
		t.Fatal(err)
	}
	runtime.CompileExec(&specs.Process{Args: []string{"x"}, Cwd: "/"}, rules, 0, runtime.Facts{Inherited: inherited}) //nolint:errcheck // that it comes back
}
