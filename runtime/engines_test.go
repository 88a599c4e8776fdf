package runtime

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestEngines compiles what containerd, Docker 28.5.2 and podman 4.3 wrote as config.json (test/engines -capture): every field is one of
// the specification's, none is refused or warned of, and what was asked for is in the plan.
func TestEngines(t *testing.T) {
	wanted := map[string][]string{
		"ctr-limits":    {`/default/c/memory.max", "67108864"`, `/cpu.max", "50000 100000"`, `/cpu.weight", "100"`},
		"ctr-userns":    {`/uid_map", "0 100000 65536`},
		"docker-limits": {`/memory.max", "33554432"`, `/memory.swap.max", "0"`, `/cpu.max", "50000 100000"`, `/pids.max", "10"`},
		"podman-limits": {`/memory.max", "67108864"`, `/memory.swap.max", "0"`, `/cpu.max", "50000 100000"`, `/pids.max", "20"`},
		"podman-userns": {`/uid_map", "0 100000 65536`},
	}
	files, err := filepath.Glob("testdata/engines/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var spec specs.Spec
			d := json.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&spec); err != nil {
				t.Fatal(err)
			}
			p, err := Compile(&spec, nil, here(&spec))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range p.Warnings {
				t.Error("warned:", w)
			}
			asked := requests(p)
			for _, want := range wanted[name] {
				if !strings.Contains(asked, want) {
					t.Errorf("the host is not asked for %s", want)
				}
			}
		})
	}
}

// requests are the host's, one a line.
func requests(p *Plan) string {
	var out strings.Builder
	for _, phase := range p.Phases {
		for _, r := range phase.Host {
			out.WriteString(r.Call + "\n")
		}
	}
	return out.String()
}

// here is a host on which all that the sample mounts exists.
func here(spec *specs.Spec) Facts {
	f := ordinary()
	f.Kinds[spec.Root.Path] = unix.S_IFDIR | 0o755
	for _, m := range spec.Mounts {
		if strings.HasPrefix(m.Source, "/") {
			f.Kinds[m.Source] = unix.S_IFREG | 0o644
		}
	}
	return f
}
