package attacks

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/bundle"

	terminals "github.com/creack/pty"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// These attacks come from a neighbour: somebody who shares a directory with the container that starts, a volume or its root, and exchanges
// what lies there for links while glassrun works in it. The test acts as the neighbour. Where a container starts nevertheless, it
// looks around; where it does not, glassrun has refused.

// racing is how long one race lasts, and patience how much longer where no container has started: with eight paths through what is
// exchanged, most starts are refused.
const (
	racing   = 800 * time.Millisecond
	patience = 20 * time.Second
)

// ways are the orders in which a root is built: each resolves the container's paths in its own way.
var ways = map[string]func(*bundle.Bundle){
	"pivot": func(*bundle.Bundle) {},
	"hooks": func(b *bundle.Bundle) { // the root is changed after everything is mounted
		b.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true", Args: []string{"true"}}}}
	},
	"no pivot": func(b *bundle.Bundle) { b.Spec.Annotations = map[string]string{noPivot: ""} },
}

const noPivot = "no-pivot"

// race starts containers, as each way goes, while two names in a directory are exchanged as fast as that goes. It returns what the
// containers said, and fails if the names were not exchanged.
func race(t *testing.T, b *bundle.Bundle, one, other string, start func() bundle.Answer) (said string) {
	t.Helper()
	end := time.Now().Add(racing)
	var neighbour sync.WaitGroup
	var over atomic.Bool
	exchanged := 0
	neighbour.Go(func() {
		for !over.Load() {
			if unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE) == nil {
				exchanged++
			}
		}
	})
	started, starts := 0, 0
	for time.Now().Before(end) || said == "" && time.Now().Before(end.Add(patience)) {
		a := start()
		starts++
		said += a.Out
		if a.Code == 0 {
			started++
		} else if a.Errs == "" {
			t.Errorf("exit %d without a word", a.Code)
		}
	}
	over.Store(true)
	neighbour.Wait()
	t.Logf("%d of %d containers started while the names were exchanged %d times", started, starts, exchanged)
	if exchanged == 0 {
		t.Error("nothing was exchanged")
	}
	return said
}

func run(t *testing.T, b *bundle.Bundle) bundle.Answer {
	args := []string{"run", "--bundle", b.Dir}
	if _, ok := b.Spec.Annotations[noPivot]; ok {
		args = append(args, "--no-pivot")
	}
	return bundle.Glassrun(t, b.Global(append(args, b.ID)...)...)
}

// eachWay makes a bundle for each way.
func eachWay(t *testing.T, attack func(t *testing.T, b *bundle.Bundle)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			b := bundle.New(t)
			way(b)
			attack(t, b)
		})
	}
}

// host is a directory of the host's with a marker in it. Nothing may appear there, and nobody may see it.
func host(t *testing.T) (dir, marker string) {
	t.Helper()
	dir = t.TempDir()
	marker = filepath.Join(dir, "marker")
	if err := os.WriteFile(marker, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile("/proc/self/mountinfo")
	t.Cleanup(func() {
		found, _ := os.ReadDir(dir)
		if len(found) != 1 {
			t.Errorf("ESCAPED: made on the host: %v", found)
		}
		if text, _ := os.ReadFile(marker); string(text) != "host" {
			t.Errorf("ESCAPED: a file of the host's was written: %q", text)
		}
		after, _ := os.ReadFile("/proc/self/mountinfo")
		for line := range strings.Lines(string(after)) {
			if strings.Contains(line, dir) && !strings.Contains(string(before), line) {
				t.Errorf("ESCAPED: mounted on the host: %s", line)
			}
		}
	})
	return dir, marker
}

func (v volume) path(name string) string { return filepath.Join(string(v), name) }

// volume is a directory that the container shares with the neighbour, at /vol.
type volume string

func share(t *testing.T, b *bundle.Bundle) volume {
	t.Helper()
	v := volume(t.TempDir())
	b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: string(v), Options: []string{"bind"}})
	return v
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMountTargets is CVE-2021-30465, and CVE-2019-19921 and CVE-2023-27561 of the same kind: the target of a mount is a link for the moment
// in which it is mounted on, and leads out.
func TestMountTargets(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bundle.Bundle) {
		dir, marker := host(t)
		v := share(t, b)
		must(t, os.Mkdir(v.path("target"), 0o755), os.Symlink(dir, v.path("link")))
		given := t.TempDir()
		must(t, os.WriteFile(given+"/given", nil, 0o644))
		for i, to := range []string{"/vol/target", "/vol/target/deep", "/vol/../vol/target"} {
			b.Spec.Mounts = append(b.Spec.Mounts,
				specs.Mount{Destination: to, Type: "bind", Source: given, Options: []string{"bind"}},
				specs.Mount{Destination: fmt.Sprintf("%s/%d", to, i), Type: "tmpfs", Source: "tmpfs"})
		}
		b.Spec.Process.Args = []string{"/bin/attack", "around", marker}
		b.Write(t)
		said := race(t, b, v.path("target"), v.path("link"), func() bundle.Answer { return run(t, b) })
		withstood(t, said, "held")
	})
}

// TestMountSources: what is shown is the neighbour's to exchange, too: a part of a volume.
func TestMountSources(t *testing.T) {
	_, marker := host(t)
	b := bundle.New(t)
	v := share(t, b)
	must(t, os.Mkdir(v.path("part"), 0o755), os.Symlink("/", v.path("link")))
	b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: string(v), Options: []string{"rbind", "glassbox.subpath=part"}})
	b.Spec.Process.Args = []string{"/bin/attack", "around", marker}
	b.Write(t)
	withstood(t, race(t, b, v.path("part"), v.path("link"), func() bundle.Answer { return run(t, b) }), "held")
}

// TestMadeDirectories is CVE-2024-45310: directories and files on which to mount are made, through a link on the host.
func TestMadeDirectories(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bundle.Bundle) {
		dir, marker := host(t)
		v := share(t, b)
		must(t, os.Mkdir(v.path("a"), 0o755), os.Symlink(dir, v.path("link")))
		ordinary := b.Spec.Mounts
		starts := 0
		withstood(t, race(t, b, v.path("a"), v.path("link"), func() bundle.Answer {
			starts++ // each makes anew what it needs
			in := fmt.Sprintf("/vol/a/%d", starts)
			b.Spec.Mounts = append(slices.Clone(ordinary), specs.Mount{Destination: in + "/made/by/start", Type: "tmpfs", Source: "tmpfs"},
				specs.Mount{Destination: in + "-file", Type: "bind", Source: "/etc/passwd", Options: []string{"bind"}})
			b.Spec.Linux.Devices = []specs.LinuxDevice{{Path: in + "-null", Type: "c", Major: 1, Minor: 3}}
			b.Spec.Process.Cwd = in + "-cwd"
			b.Spec.Process.Args = []string{"/bin/attack", "around", marker}
			b.Write(t)
			return run(t, b)
		}))
	})
}

// guard asks for what Docker hides and protects.
func guard(b *bundle.Bundle) {
	b.Spec.Linux.MaskedPaths = []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}
	b.Spec.Linux.ReadonlyPaths = []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"}
}

// imagesDev leaves /dev to the image.
func imagesDev(b *bundle.Bundle) {
	b.Spec.Mounts = slices.DeleteFunc(b.Spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev" })
}

// TestMaskedByLink is CVE-2025-31133: what files are hidden under, /dev/null, is a link of the image's into /proc: the kernel's file would be
// shown a second time, where it can be written.
func TestMaskedByLink(t *testing.T) {
	for _, link := range []string{"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/etc/passwd"} {
		b := bundle.New(t)
		imagesDev(b)
		guard(b)
		must(t, os.Symlink(link, b.Root("dev/null")), os.Symlink("null", b.Root("dev/zero")))
		withstood(t, foreground(t, b, "/bin/attack", "guarded").Out, "held writing /proc/sys/kernel/core_pattern", "held reading /proc/keys")
	}
	eachWay(t, func(t *testing.T, b *bundle.Bundle) {
		imagesDev(b)
		guard(b)
		must(t, os.WriteFile(b.Root("dev/null"), nil, 0o666), os.Symlink("/proc/sys/kernel/core_pattern", b.Root("dev/link")))
		b.Spec.Process.Args = []string{"/bin/attack", "guarded"}
		b.Write(t)
		withstood(t, race(t, b, b.Root("dev/null"), b.Root("dev/link"), func() bundle.Answer { return run(t, b) }), "held")
	})
}

// TestConsole is CVE-2025-52565: the terminal is shown as /dev/console, which is a link of the image's into /proc: the terminal, writable by
// the container, would lie on a file of the kernel's, and its protection would go to the terminal.
func TestConsole(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bundle.Bundle) {
		imagesDev(b)
		guard(b)
		must(t, os.WriteFile(b.Root("dev/console"), nil, 0o666), os.Symlink("/proc/sys/kernel/core_pattern", b.Root("dev/link")))
		b.Spec.Process.Terminal = true
		b.Spec.Process.Args = []string{"/bin/attack", "guarded"}
		b.Write(t)
		said := race(t, b, b.Root("dev/console"), b.Root("dev/link"), func() bundle.Answer {
			args := b.Global("run", "--bundle", b.Dir, b.ID)
			if _, ok := b.Spec.Annotations[noPivot]; ok {
				args = slices.Insert(args, 3, "--no-pivot")
			}
			return onTerminal(t, bundle.Command(t, args...))
		})
		withstood(t, said, "held")
	})
}

// onTerminal runs a command with a terminal of its own.
func onTerminal(t *testing.T, c *exec.Cmd) bundle.Answer {
	t.Helper()
	master, err := terminals.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	out, _ := io.ReadAll(master) // EIO is a terminal's end of file
	c.Wait()                     //nolint:errcheck // the code says it
	return bundle.Answer{Out: string(out), Errs: string(out), Code: c.ProcessState.ExitCode()}
}

// TestProcWrites is CVE-2025-52881: what the runtime writes below /proc goes to another file of the kernel's, or to none: /proc, or what
// is below it, is exchanged for the neighbour's.
func TestProcWrites(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bundle.Bundle) {
		_, marker := host(t)
		guard(b)
		v := share(t, b)
		for _, dir := range []string{"proc/sys/net/ipv4", "proc/self/attr"} {
			must(t, os.MkdirAll(v.path(dir), 0o755))
		}
		must(t, os.Symlink("/proc/sys/kernel/core_pattern", v.path("proc/sys/net/ipv4/ip_forward")), os.Symlink(marker, v.path("proc/self/oom_score_adj")),
			os.Symlink("/vol/proc", b.Root("link")))
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		must(t, err)
		b.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		b.Spec.Process.OOMScoreAdj = new(500)
		b.Spec.Process.Args = []string{"/bin/attack", "guarded"}
		b.Write(t)
		withstood(t, race(t, b, b.Root("proc"), b.Root("link"), func() bundle.Answer { return run(t, b) }))
		if now, _ := os.ReadFile("/proc/sys/kernel/core_pattern"); string(now) != string(pattern) {
			os.WriteFile("/proc/sys/kernel/core_pattern", pattern, 0o644) //nolint:errcheck // put right what the attack has done
			t.Errorf("ESCAPED: core_pattern is %q", now)
		}
	})
	b := bundle.New(t) // a volume cannot take its place either
	v := share(t, b)
	b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/proc", Type: "bind", Source: string(v), Options: []string{"bind"}})
	if a := foreground(t, b, "true"); a.Code == 0 || !strings.Contains(a.Errs, "not of type proc") {
		t.Errorf("a volume on /proc: exit %d, %s", a.Code, a.Errs)
	}
}

// around looks for a file of the host's in every mount that the container has.
func around(args []string) {
	for _, m := range mounts() {
		_, err := os.Stat(filepath.Join(m.at, args[0]))
		tried("seeing the host's files at "+m.at, err)
		if _, err := os.Stat(filepath.Join(m.at, "marker")); err == nil {
			escaped("the host's directory is at %s", m.at)
		}
	}
}

// guarded looks at what is hidden and protected.
func guarded([]string) {
	for _, m := range mounts() {
		if m.kind == "proc" && m.root != "/" && !strings.HasSuffix(m.at, m.root) {
			escaped("%s of /proc is at %s", m.root, m.at)
		}
		if m.kind == "devpts" && strings.HasPrefix(m.at, "/proc") {
			escaped("the terminal is at %s", m.at)
		}
	}
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"} {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			defer f.Close()
		}
		var fs unix.Statfs_t
		if err == nil && unix.Fstatfs(int(f.Fd()), &fs) == nil && fs.Type != unix.PROC_SUPER_MAGIC {
			err = fmt.Errorf("it is not the kernel's") // but the neighbour's own
		}
		tried("writing "+path, err)
	}
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"} {
		var fs unix.Statfs_t
		err := unix.Statfs(path, &fs)
		if err == nil && fs.Type != unix.PROC_SUPER_MAGIC {
			err = fmt.Errorf("it is hidden")
		}
		tried("reading "+path, err)
	}
}

type mounted struct{ at, root, kind string }

// mounts are those of this process.
func mounts() (list []mounted) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		held("reading mountinfo", err)
	}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		w := strings.Fields(left)
		list = append(list, mounted{w[4], w[3], strings.Fields(right)[0]})
	}
	return list
}
