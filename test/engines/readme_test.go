package engines

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"glassbox/test/world"
)

// installed is where `make install` puts glassrun, and what README.md therefore shows.
const installed = "/usr/local/bin/glassrun"

// shown is the block that README.md shows under a file's name, with the driven runtime in glassrun's place.
func shown(file string) (string, error) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile("(?m)^.*`[^`]*" + regexp.QuoteMeta(file) + "`.*\n\n((?:    .*\n)+)").FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("README.md shows no %s", file)
	}
	block := regexp.MustCompile("(?m)^    ").ReplaceAllString(string(m[1]), "")
	if !strings.Contains(block, installed) {
		return "", fmt.Errorf("README.md's %s does not name %s", file, installed)
	}
	return strings.ReplaceAll(block, installed, driven()), nil
}

// Kubernetes calls a runtime of containerd's by the handler of its RuntimeClass.
func TestRuntimeClass(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	handler := regexp.MustCompile(`(?m)^    kind: RuntimeClass\n(?:    .*\n)*?    handler: (.*)$`).FindStringSubmatch(string(text))
	runtime := regexp.MustCompile(`(?m)^    \[plugins\..*\.runtimes\.(.*)\]$`).FindStringSubmatch(string(text))
	if handler == nil || runtime == nil || handler[1] != runtime[1] {
		t.Errorf("README.md's RuntimeClass names %q, its config.toml %q", handler, runtime)
	}
}

// containerd understands the lines for its CRI plugin: it shows them in what it would run with.
func TestContainerdConfiguration(t *testing.T) {
	lines, err := shown("config.toml")
	if err != nil {
		t.Fatal(err)
	}
	file := world.Dir() + "/config.toml"
	if err := os.WriteFile(file, []byte("version = 2\n"+lines), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := world.Output("containerd", "--config", file, "config", "dump")
	if err != nil {
		t.Fatal(err)
	}
	_, runtime, _ := strings.Cut(text, `.runtimes.glassrun]`)
	runtime, _, _ = strings.Cut(runtime, ".runtimes.runc]")
	for _, want := range []string{`runtime_type = "io.containerd.runc.v2"`, `BinaryName = "` + driven() + `"`} {
		if !strings.Contains(runtime, want) {
			t.Errorf("containerd does not show %s:\n%s", want, runtime)
		}
	}
}
