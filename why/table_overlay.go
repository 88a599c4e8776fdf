package why

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// overlayErrors follow fs/overlayfs/params.c and super.c.
var overlayErrors = []Known{
	{
		Errno: unix.EINVAL, Calls: []string{"overlay"}, Objects: "[UPPER [WORK [LOWER...]]]", Manual: "Documentation/filesystems/overlayfs.rst",
		Causes: []Cause{
			{
				Name: "upper file system", Why: "an overlay's upper directory must lie on a file system that can rename whiteouts and keep extended attributes: not on another overlay, nor on most network file systems",
				Check: "stat -f -c %T UPPER; dmesg | grep overlay", Fix: "put upper and work on ext4, xfs or tmpfs: GLASSBOX_ROOT=/a/dir/on/ext4 (in a container: a volume or a tmpfs)", Learn: "layers", test: upperUnfit,
			},
			{
				Name: "upper and work apart", Why: "upper and work must lie on the same mount: files are made in work and renamed into upper", Check: "findmnt -T UPPER; findmnt -T WORK",
				Fix: "make both directories side by side", Learn: "layers", test: apart,
			},
			{
				Name: "one in the other", Why: "upper and work must be two directories, neither inside the other", Check: "realpath UPPER WORK", Fix: "make both directories side by side", Learn: "layers", test: nested,
			},
			{
				Name: "stacked too deep", Why: "an overlay may lie on an overlay, but not on two (FILESYSTEM_MAX_STACK_DEPTH is 2)", Check: "findmnt -T LOWER", Fix: "copy the lower layer, or mount its own layers", Learn: "layers", test: deep,
			},
			{
				Name: "options", Why: "no lowerdir, or an option that this kernel does not have", Check: "dmesg | grep overlay", Fix: "-o lowerdir=A:B,upperdir=U,workdir=W", Learn: "layers",
			},
		},
		tried: func(p *probe) []string {
			if p.object(0) == "" {
				return nil
			}
			return tryOverlay(p.object(0))
		},
	},
	{
		Errno: unix.ENOENT, Calls: []string{"overlay"}, Objects: "DIR...", Manual: "Documentation/filesystems/overlayfs.rst",
		Causes: []Cause{{
			Name: "path that is not there", Why: "lower, upper and work must all exist; a colon in a name separates two layers", Check: "ls -ld DIR...", Fix: "mkdir -p; write a colon in a name as \\:", Learn: "layers", test: missingPath,
		}},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"overlay"}, Objects: "UPPER", Manual: "Documentation/filesystems/overlayfs.rst",
		Causes: []Cause{{
			Name: "upper or work in use", Why: "one overlay has one upper and one work directory: with index=on a second one is refused, without it what comes of both is undefined", Check: "grep UPPER /proc/*/mountinfo",
			Fix: "unmount the other, or take other directories", Learn: "layers", test: upperInUse,
		}},
	},
}

// upperUnfit makes a small overlay beside the directory, mounted nowhere, and hears what the kernel says of it.
func upperUnfit(p *probe) verdict {
	upper := p.object(0)
	if upper == "" {
		return unknown("name the directory: why EINVAL overlay UPPER")
	}
	kind, err := fileSystem(upper)
	if err != nil {
		return unknown("%v", err)
	}
	found, words := overlayOn(upper)
	v := when(errors.Is(found, unix.EINVAL), "statfs of %s: %s", upper, kind)
	if found != nil && !errors.Is(found, unix.EINVAL) {
		v.holds = Unknown
	}
	return verdict{v.holds, append(v.evidence, words...)}
}

func tryOverlay(upper string) []string {
	err, words := overlayOn(upper)
	if err == nil {
		return []string{"an overlay with upper and work in a new directory below " + upper + ", mounted nowhere: it may be made"}
	}
	return append([]string{"an overlay with upper and work in a new directory below " + upper + ", mounted nowhere: " + err.Error()}, words...)
}

// overlayOn tries it with directories of its own, and takes everything back; words are the kernel's.
func overlayOn(dir string) (err error, words []string) { //nolint:revive // the words belong to the error
	temp, err := os.MkdirTemp(dir, ".glassbox-why-")
	if err != nil {
		return err, nil
	}
	defer os.RemoveAll(temp)
	for _, d := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(temp, d), 0o700); err != nil {
			return err, nil
		}
	}
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen", err), nil
	}
	defer unix.Close(fd)
	for _, d := range []string{"lower", "upper", "work"} {
		if err = unix.FsconfigSetString(fd, d+"dir", filepath.Join(temp, d)); err != nil {
			return err, spoken(fd)
		}
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return err, spoken(fd)
	}
	return nil, nil
}

// spoken are a context's messages, as what was seen.
func spoken(fd int) []string {
	words := messages(fd)
	for i, w := range words {
		words[i] = "the kernel says: " + w
	}
	return words
}

// messages reads the log of a file system context: fsopen(2). Each begins with its weight, "e " for an error, and a read gives one.
func messages(fd int) (all []string) {
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil || n < 3 {
			return all
		}
		all = append(all, strings.TrimSpace(string(buffer[2:n])))
	}
}

func apart(p *probe) verdict {
	if len(p.objects) < 2 {
		return unknown("name both: why EINVAL overlay UPPER WORK")
	}
	a, _, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	b, _, err := p.on(p.object(1))
	if err != nil {
		return unknown("%v", err)
	}
	return when(a.id != b.id, "statx: upper lies on mount %d (%s), work on mount %d (%s)", a.id, a.point, b.id, b.point)
}

func nested(p *probe) verdict {
	if len(p.objects) < 2 {
		return unknown("name both: why EINVAL overlay UPPER WORK")
	}
	upper, work := whole(p.object(0))+"/", whole(p.object(1))+"/"
	return when(strings.HasPrefix(upper, work) || strings.HasPrefix(work, upper), "upper %s, work %s", upper, work)
}

func deep(p *probe) verdict {
	if len(p.objects) < 3 {
		return unknown("name the layers too: why EINVAL overlay UPPER WORK LOWER...")
	}
	for _, lower := range p.objects[2:] {
		m, _, err := p.on(lower)
		if err != nil {
			return unknown("%v", err)
		}
		if depth := p.depth(m); depth >= 2 {
			return yes("%s lies on %d overlays, one on the other", lower, depth)
		}
	}
	return no("%s: none lies on an overlay of an overlay", list(p.objects[2:]))
}

// depth is how many overlays lie on top of each other, as far as the lower directories can be seen from here.
func (p *probe) depth(m mounted) int {
	if m.kind != "overlay" {
		return 0
	}
	deepest := 0
	for _, d := range m.lower() {
		if below, _, err := p.on(d); err == nil && below.id != m.id {
			deepest = max(deepest, p.depth(below))
		}
	}
	return 1 + deepest
}

// lower are the directories of an overlay's layers, by the names that they had when it was mounted.
func (m mounted) lower() (dirs []string) {
	for _, o := range m.super {
		all, is := strings.CutPrefix(o, "lowerdir=")
		if !is {
			if all, is = strings.CutPrefix(o, "lowerdir+="); !is {
				continue
			}
		}
		for _, d := range strings.Split(all, ":") {
			if d != "" {
				dirs = append(dirs, d)
			}
		}
	}
	return dirs
}

func upperInUse(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the directory: why EBUSY overlay UPPER")
	}
	upper := whole(p.object(0))
	for _, pid := range pids() {
		other := p.of(itoa(pid))
		for _, m := range other.mounts() {
			if m.kind == "overlay" && (slices.Contains(m.super, "upperdir="+upper) || slices.Contains(m.super, "workdir="+upper)) {
				return yes("%s: %s has it as upper or work directory", other.proc("mountinfo"), m.point)
			}
		}
	}
	return no("no overlay in a /proc/PID/mountinfo that can be read has it")
}
