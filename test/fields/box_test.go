package fields

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"glassbox/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// box is the bundle of a row.
type box struct {
	*bundle.Bundle
	waiting string // what the container does while an exec is tried
}

// newBox is a bundle with few mounts, to which rows add.
func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{bundle.New(t), "probe wait"}
	var few []specs.Mount
	for _, m := range b.Spec.Mounts {
		if m.Destination == "/proc" || m.Destination == "/dev" || m.Destination == "/sys" {
			few = append(few, m)
		}
	}
	b.Spec.Mounts, b.Spec.Process.Env = few, []string{"PATH=/bin"}
	return b
}

// mapped gives the container a user namespace, which owns its file tree.
func (b *box) mapped(t *testing.T) {
	t.Helper()
	b.Mapped()
	if err := os.Chown(b.Path("rootfs"), 100000, 100000); err != nil { // what lies in it is the other bundles', too
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// words is a command line's arguments: a simple command as it is, all else for the shell.
func words(line string) []string {
	if strings.ContainsAny(line, ";|&$<>()'\"*`\n\\") {
		return []string{"sh", "-c", line}
	}
	return strings.Fields(line)
}

// glassrun runs a command of it to its end.
func glassrun(t *testing.T, args ...string) bundle.Answer {
	t.Helper()
	return bundle.Glassrun(t, args...)
}
