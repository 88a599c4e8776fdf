package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/image"
	"glassbox/store"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// aBuild begins a build.
func (m *machine) aBuild() *Work {
	m.t.Helper()
	w, err := m.Builds.Begin()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := w.End(); err != nil {
			m.t.Error(err)
		}
	})
	return w
}

// step makes the container of a RUN of a shell's command.
func (m *machine) step(w *Work, script string) *Step {
	return m.limitedStep(w, script, container.Resources{})
}

func (m *machine) limitedStep(w *Work, script string, limits container.Resources) *Step {
	m.t.Helper()
	img, err := m.Images.Resolve("bb")
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := w.Step(context.Background(), StepOptions{
		Base:       img,
		Config:     &container.Config{Image: img.ID.String(), Cmd: []string{"sh", "-c", script}, Entrypoint: []string{""}, Env: []string{"FROM=image", "ARGUMENT=given"}},
		HostConfig: &container.HostConfig{NetworkMode: "none", LogConfig: container.LogConfig{Type: "none"}, Resources: limits},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// TestStepLimits has a step read its limits, and one break that of its memory.
func TestStepLimits(t *testing.T) {
	need.CgroupV2(t, "memory", "cpu")
	m := newMachine(t)
	w := m.aBuild()
	limits := container.Resources{Memory: 32 << 20, CPUPeriod: 100000, CPUQuota: 50000}
	s := m.limitedStep(w, "cd /sys/fs/cgroup && cat memory.max cpu.max", limits)
	var out bytes.Buffer
	if code, err := s.Run(context.Background(), &out, &out); code != 0 || err != nil || out.String() != "33554432\n50000 100000\n" {
		t.Errorf("%d, %v: %q", code, err, &out)
	}
	m.ok(s.Close(false))
	s = m.limitedStep(w, "head -c 100000000 /dev/zero | tail -c 100000000 >/dev/null", limits)
	if code, err := s.Run(context.Background(), io.Discard, io.Discard); code != 137 || err != nil {
		t.Errorf("beyond its memory: %d, %v", code, err)
	}
	m.ok(s.Close(false))
}

func (m *machine) containers() (names []string) {
	m.t.Helper()
	all, err := m.Containers.List(true, -1, false, filters.NewArgs())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, c := range all {
		names = append(names, c.ID)
	}
	return names
}

func TestStepLeavesWhatItWrote(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "echo $ARGUMENT; echo oops >&2; echo hi >/made; rm /etc/group")
	var out, errs bytes.Buffer
	if code, err := s.Run(context.Background(), &out, &errs); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if out.String() != "given\n" || errs.String() != "oops\n" {
		t.Errorf("it said %q and %q", &out, &errs)
	}
	upper := filepath.Join(w.Dir, "upper")
	if err := s.Take(upper); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(false); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(upper + "/made"); err != nil || string(data) != "hi\n" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Lstat(upper + "/etc/group"); err != nil || info.Mode().Type() != os.ModeDevice|os.ModeCharDevice {
		t.Errorf("the removed file is no whiteout: %v, %v", info, err)
	}
	entries, err := os.ReadDir(upper)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside what was written there is %v, %v", entries, err)
	}
	if left := m.containers(); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

func TestStepThatFailsCanStay(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "exit 7")
	if code, err := s.Run(context.Background(), io.Discard, io.Discard); code != 7 || err != nil {
		t.Fatal(code, err)
	}
	if err := s.Close(true); err != nil {
		t.Fatal(err)
	}
	i, err := m.Containers.Inspect(s.ID(), false)
	if err != nil || i.State.ExitCode != 7 || i.HostConfig.AutoRemove {
		t.Errorf("%+v, %v", i.State, err)
	}
}

func TestStepBrokenOff(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "echo begun; sleep 100")
	ctx, stop := context.WithCancel(context.Background())
	begun := time.Now()
	if _, err := s.Run(ctx, writes(func() { stop() }), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if err := s.Close(false); err != nil {
		t.Error(err)
	}
	if left := m.containers(); len(left) > 0 || time.Since(begun) > 20*time.Second {
		t.Errorf("containers are left: %v", left)
	}
}

// writes is called at each writing.
type writes func()

func (w writes) Write(b []byte) (int, error) { w(); return len(b), nil }

// BenchmarkStep is a trivial RUN on the default bridge, with the next one's monitor begun meanwhile.
func BenchmarkStep(b *testing.B) {
	m := newMachine(b)
	ctx := context.Background()
	w := m.aBuild()
	img, err := m.Images.Resolve("bb")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := w.Step(ctx, StepOptions{
			Base:       img,
			Config:     &container.Config{Image: img.ID.String(), Cmd: []string{"sh", "-c", "echo hi >/made"}, Entrypoint: []string{""}},
			HostConfig: &container.HostConfig{NetworkMode: "bridge", LogConfig: container.LogConfig{Type: "none"}},
		})
		if err != nil {
			b.Fatal(err)
		}
		if code, err := s.Run(ctx, io.Discard, io.Discard); code != 0 || err != nil {
			b.Fatal(code, err)
		}
		m.Containers.Warm()
		if err := s.Take(w.Dir + "/" + s.ID()); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(false); err != nil {
			b.Fatal(err)
		}
	}
}

// layered is an image over bb with one more layer, made of a directory by hand.
func (m *machine) layered(files map[string]string) *image.Image {
	m.t.Helper()
	base, err := m.Images.Resolve("bb")
	if err != nil {
		m.t.Fatal(err)
	}
	upper, err := os.MkdirTemp(m.Containers.root.Data, "upper")
	if err != nil {
		m.t.Fatal(err)
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(upper+name), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(upper+name, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	d := image.Draft{Base: base}
	d.Document.Platform = base.Config.Platform
	img, err := m.Images.AddTree(context.Background(), upper, d)
	if err != nil {
		m.t.Fatal(err)
	}
	return img
}

// play runs a command with mounts and returns what it said and its upper directory.
func (m *machine) play(w *Work, script string, mounts ...StepMount) (said, upper string) {
	m.t.Helper()
	s := m.step(w, script)
	s.r.step.Mounts = nil
	if err := s.Close(false); err != nil {
		m.t.Fatal(err)
	}
	img, err := m.Images.Resolve("bb")
	if err != nil {
		m.t.Fatal(err)
	}
	s, err = w.Step(context.Background(), StepOptions{
		Base:       img,
		Config:     &container.Config{Image: img.ID.String(), Cmd: []string{"sh", "-c", script}, Entrypoint: []string{""}},
		HostConfig: &container.HostConfig{NetworkMode: "none", LogConfig: container.LogConfig{Type: "none"}},
		Mounts:     mounts, Env: []string{"TOKEN=of the environment"},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	var out bytes.Buffer
	if code, err := s.Run(context.Background(), &out, &out); code != 0 || err != nil {
		m.t.Fatal(code, err, out.String())
	}
	upper = filepath.Join(w.Dir, s.ID())
	if err := errors.Join(s.Take(upper), s.Close(false)); err != nil {
		m.t.Fatal(err)
	}
	return out.String(), upper
}

// filesIn lists what is in a directory and below it.
func filesIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			all = append(all, path[len(dir):])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStepMounts(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	other := m.layered(map[string]string{"/opt/tool/a": "one", "/opt/tool/b": "two", "/root/x": ""})
	host := t.TempDir()
	if err := os.WriteFile(host+"/file", []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		script string
		mount  StepMount
		said   string
		upper  []string
	}{
		{"cat /new/place/file; echo no >/new/place/file", StepMount{Target: "/new/place", Source: host, ReadOnly: true}, "of the host" + "sh: can't create /new/place/file: Read-only file system\n", nil},
		{"cat /src/file; echo x >/src/y; ls /src", StepMount{Target: "/src", Source: host, Passing: true}, "of the hostfile\ny\n", nil},
		{"echo changed >/f; cat /f", StepMount{Target: "/f", Source: host + "/file", Passing: true}, "changed\n", nil},
		{"ls /root/t; echo z >/root/t/z; echo >/root/other; ls /root/t", StepMount{Target: "/root/t", Image: other, Subpath: "/opt/tool", Passing: true}, "a\nb\na\nb\nz\n", []string{"/root", "/root/other"}},
		{"ls /etc/t", StepMount{Target: "/etc/t", Image: other, Subpath: "opt/tool", ReadOnly: true}, "a\nb\n", nil},
		{"cat /etc/passwd", StepMount{Target: "/etc/passwd", Image: other, Subpath: "opt/tool/a", ReadOnly: true}, "one", nil},
		{"ls /other/bin/sh /other/opt/tool", StepMount{Target: "/other", Image: other, ReadOnly: true}, "/other/bin/sh\n\n/other/opt/tool:\na\nb\n", nil},
		{"mkdir /t/d && stat -c %a /t; mount | grep -c 'tmpfs on /t .*size=64k'", StepMount{Target: "/t", Tmpfs: &StepTmpfs{Size: 65536}}, "1777\n1\n", nil},
		{"stat -c '%a %u %g' /run/secrets/s; cat /run/secrets/s; echo; echo $TOKEN", StepMount{Target: "/run/secrets/s", ReadOnly: true, Data: &StepData{Bytes: []byte("hush"), Mode: 0o440, UID: 1, GID: 2}}, "440 1 2\nhush\nof the environment\n", nil},
		{"/dev/pipes/EOF", StepMount{Target: "/dev/pipes/EOF", ReadOnly: true, Data: &StepData{Bytes: []byte("#!/bin/sh\necho run\n"), Mode: 0o755, Program: true}}, "run\n", nil},
	} {
		if c.mount.ReadOnly && c.mount.Source != "" {
			c.script += "; true"
		}
		said, upper := m.play(w, c.script, c.mount)
		if said != c.said {
			t.Errorf("%s said %q, want %q", c.script, said, c.said)
		}
		if got := filesIn(t, upper); !slices.Equal(got, c.upper) {
			t.Errorf("%s wrote %v, want %v", c.script, got, c.upper)
		}
	}
	if data, err := os.ReadFile(host + "/file"); string(data) != "of the host" {
		t.Errorf("the host's file is %q now, %v", data, err)
	}
	if got := filesIn(t, host); len(got) != 1 {
		t.Errorf("the host's directory holds %v", got)
	}
}

// TestStepLooksOfPlaces: directories on the way to a mount look as in the image, and as in the image go into the layer.
func TestStepLooksOfPlaces(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	bare, _ := m.play(w, "stat -c '%a %u %Y' /tmp /etc /root /")
	said, upper := m.play(w, "stat -c '%a %u %Y' /tmp /etc /root /; echo >/etc/new", StepMount{Target: "/etc/a/b", Tmpfs: &StepTmpfs{}},
		StepMount{Target: "/tmp/x", Tmpfs: &StepTmpfs{}}, StepMount{Target: "/etc/c", Data: &StepData{Mode: 0o400}})
	if said != bare {
		t.Errorf("with mounts\n%sinstead of\n%s", said, bare)
	}
	if got := filesIn(t, upper); !slices.Equal(got, []string{"/etc", "/etc/new"}) {
		t.Errorf("it wrote %v", got)
	}
}

func TestCacheMounts(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	filled := 0
	open := func(sharing string) *Cache {
		t.Helper()
		c, err := m.Builds.Cache(ctx, CacheOptions{ID: "pip", Sharing: sharing, Fill: func(dir string) error { filled++; return os.Mkdir(dir+"/copy", 0o755) }})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := open("shared"), open("")
	if a.Dir != b.Dir || filled != 1 {
		t.Errorf("shared: %s and %s, filled %d times", a.Dir, b.Dir, filled)
	}
	p := open("private")
	if p.Dir == a.Dir {
		t.Error("a private cache is one that others have")
	}
	waited, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := m.Builds.Cache(waited, CacheOptions{ID: "pip", Sharing: "locked"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a locked cache is had together with others: %v", err)
	}
	for _, c := range []*Cache{a, b, p} {
		if err := c.Release(); err != nil {
			t.Error(err)
		}
	}
	l := open("locked")
	if l.Dir != a.Dir || filled != 2 {
		t.Errorf("locked: %s, filled %d times", l.Dir, filled)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// TestKilledBuildIsSwept: a build that was killed leaves its lock and nothing else; the next one removes its directory and its containers, those too
// that were never started.
func TestKilledBuildIsSwept(t *testing.T) {
	m := newMachine(t)
	w, err := m.Builds.Begin()
	if err != nil {
		t.Fatal(err)
	}
	never, ran := m.step(w, "true"), m.step(w, "true")
	if code, err := ran.Run(context.Background(), io.Discard, io.Discard); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if err := w.lock.Release(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	found, err := m.System.Check(false)
	if err != nil || !slices.ContainsFunc(found, func(f Finding) bool { return f.Object == "build/"+w.name }) {
		t.Errorf("check finds %v, %v", found, err)
	}
	next := m.aBuild()
	if next.name == w.name {
		t.Fatal("two builds of one name")
	}
	if _, err := os.Lstat(w.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the killed build is left: %v", err)
	}
	if left := m.containers(); len(left) > 0 {
		t.Errorf("containers are left: %v, of %s and %s", left, never.ID(), ran.ID())
	}
}

func TestPruneOfBuilds(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	bb, err := m.Images.Resolve("bb")
	if err != nil {
		t.Fatal(err)
	}
	for key, img := range map[string]string{strings.Repeat("a", 64): bb.ID.String(), strings.Repeat("b", 64): "sha256:" + strings.Repeat("0", 64)} {
		if err := os.MkdirAll(m.Builds.Places().Steps(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := store.Write(m.Builds.Places().Step(key), map[string]any{"image": img, "text": "RUN " + key[:1], "size": 7}); err != nil {
			t.Fatal(err)
		}
	}
	open := func(id string) *Cache {
		t.Helper()
		c, err := m.Builds.Cache(ctx, CacheOptions{ID: id, Fill: func(dir string) error { return os.WriteFile(dir+"/f", make([]byte, 1000), 0o600) }})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	busy := open("busy")
	if err := open("idle").Release(); err != nil {
		t.Fatal(err)
	}
	types := func(f ...filters.KeyValuePair) (all []string) {
		t.Helper()
		records, err := m.Builds.Usage(filters.NewArgs(f...))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			all = append(all, fmt.Sprintf("%s %v %v", r.Description, r.Shared, r.InUse))
		}
		slices.Sort(all)
		return all
	}
	all := []string{"RUN a true false", "cached mount busy false true", "cached mount idle false false"}
	if got := types(); !slices.Equal(got, all) {
		t.Errorf("usage is %v", got)
	}
	if got := types(filters.Arg("type", cachedMount), filters.Arg("inuse", "false")); !slices.Equal(got, all[2:]) {
		t.Errorf("idle cache mounts are %v", got)
	}
	prune := func(o build.CachePruneOptions) int {
		t.Helper()
		report, err := m.Builds.Prune(o)
		if err != nil {
			t.Fatal(err)
		}
		return len(report.CachesDeleted)
	}
	if n := prune(build.CachePruneOptions{Filters: filters.NewArgs(filters.Arg("until", "1h"))}); n != 1 { // the dead note has no time
		t.Errorf("of what was not used for an hour %d went", n)
	}
	if n := prune(build.CachePruneOptions{ReservedSpace: 1 << 30}); n != 0 {
		t.Errorf("%d went where a gigabyte may stay", n)
	}
	if n := prune(build.CachePruneOptions{}); n != 1 || !slices.Equal(types(), all[:2]) {
		t.Errorf("%d went, %v stayed", n, types())
	}
	if n := prune(build.CachePruneOptions{All: true}); n != 1 || !slices.Equal(types(), all[1:2]) {
		t.Errorf("of all %d went, %v stayed", n, types())
	}
	if err := busy.Release(); err != nil {
		t.Fatal(err)
	}
	if n := prune(build.CachePruneOptions{}); n != 1 || len(types()) != 0 {
		t.Errorf("at last %d went, %v stayed", n, types())
	}
	if _, err := m.Builds.Prune(build.CachePruneOptions{Filters: filters.NewArgs(filters.Arg("colour", "red"))}); !Is(err, InvalidParameter) {
		t.Errorf("a filter that nobody knows: %v", err)
	}
}
