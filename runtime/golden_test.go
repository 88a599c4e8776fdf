package runtime

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/cgroups"
	"glassbox/confine"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the plans as they are into testdata")

// TestGolden compiles each testdata/*.txtar: its config.json (and layers.json, process.json for an exec) in, the explained plan
// out. The facts are those of an ordinary host, so that the plan depends on the config alone.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, want := explain(a), section(a, "plan")
			if bytes.Equal(got, want) {
				return
			}
			if !*update {
				t.Errorf("the plan has changed (run with -update if that is wanted):\n%s", diff.Diff("testdata", want, "now", got))
				return
			}
			replace(a, "plan", got)
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// explain is the plan of an archive as people read it, or the error.
func explain(a *txtar.Archive) []byte {
	phases, err := compileArchive(a)
	if err != nil {
		return []byte("error: " + err.Error() + "\n")
	}
	var out bytes.Buffer
	if err := program.Write(&out, program.Plan(phases), program.Style{}); err != nil {
		return []byte("error: " + err.Error() + "\n")
	}
	return out.Bytes()
}

func compileArchive(a *txtar.Archive) ([]program.Phase, error) {
	if b := section(a, "process.json"); b != nil {
		var p specs.Process
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, err
		}
		return CompileExec(&p, Rules{}, unix.CLONE_NEWPID|unix.CLONE_NEWNS|unix.CLONE_NEWNET|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC|unix.CLONE_NEWCGROUP, ordinary())
	}
	var spec specs.Spec
	if err := json.Unmarshal(section(a, "config.json"), &spec); err != nil {
		return nil, err
	}
	var layers *rootfs.Layers
	if b := section(a, "layers.json"); b != nil {
		layers = new(rootfs.Layers)
		if err := json.Unmarshal(b, layers); err != nil {
			return nil, err
		}
	}
	p, err := Compile(&spec, layers, ordinary())
	if err != nil {
		return nil, err
	}
	return p.Phases, nil
}

// ordinary is a host as most are: cgroup v2 with all controllers, root with all capabilities, a parent that left one signal ignored.
func ordinary() Facts {
	f := Facts{
		Dir: "/bundle",
		Cgroups: cgroups.Facts{
			Mount: "/sys/fs/cgroup", Self: "/", Parent: "/glassbox",
			Controllers: []string{"cpuset", "cpu", "io", "memory", "pids"}, V1: map[string]string{}, Files: map[string]bool{},
		},
		Inherited: confine.Inherited{Ignored: 1 << (unix.SIGHUP - 1), Bounding: 1<<41 - 1, CanRaise: true, CanGroup: true, CanMount: true},
		Kinds:     map[string]uint32{"/bundle/rootfs": unix.S_IFDIR | 0o755, "/srv": unix.S_IFDIR | 0o755, "/srv/a/b": unix.S_IFDIR | 0o755, "/srv/app.conf": unix.S_IFREG | 0o644, "/etc/motd": unix.S_IFREG | 0o644, "/proc": unix.S_IFDIR, "/sys": unix.S_IFDIR, "/proc/kcore": unix.S_IFREG, "/proc/acpi": unix.S_IFDIR},
	}
	for range 16 {
		f.Inherited.Rlimits = append(f.Inherited.Rlimits, confine.Rlimit{Soft: ^uint64(0), Hard: ^uint64(0)})
	}
	return f
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func replace(a *txtar.Archive, name string, data []byte) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = data
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: data})
}
