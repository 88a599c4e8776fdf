package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"glassbox/linux"
	"glassbox/program"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// machine is what probes share.
type machine struct {
	root    store.Root
	groups  func() *groupTrial
	town    func() *town
	overlay func() overlayTrial

	mu      sync.Mutex
	scratch map[string]*place // by the directory for which it stands
}

func newMachine() *machine {
	m := &machine{root: store.Open(), scratch: map[string]*place{}}
	m.groups = sync.OnceValue(tryGroups)
	m.town = sync.OnceValue(buildTown)
	m.overlay = sync.OnceValue(m.tryOverlay)
	return m
}

func (m *machine) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.scratch {
		p.remove()
	}
	clear(m.scratch)
}

// births keeps others from being made between the making of a process's gates and its own: each would hold the other's, and with the host
// killed neither would see their end.
var births sync.Mutex

// bear starts a program that ends with a gate.
func bear(b *program.Builder, c program.Clone) (*program.Process, error) {
	births.Lock()
	defer births.Unlock()
	return program.Start(b.Program(), c, nil, false)
}

// child has the kernel carry out calls in a process of their own, in new namespaces, as a container's process would. It ends before
// child returns.
func child(flags uint64, group *os.File, build func(b *program.Builder)) error {
	var b program.Builder
	b.Begin()
	if build != nil {
		build(&b)
	}
	b.Gate("tried", "that was all: the host ends this process")
	p, err := bear(&b, program.Clone{Flags: flags, Cgroup: group})
	if err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { unix.PidfdSendSignal(int(p.Pidfd.Fd()), unix.SIGKILL, nil, 0) }) //nolint:errcheck // it may have ended
	defer late.Stop()
	defer p.Kill()
	return p.Reach("tried")
}

// said is the kernel's answer in one line: the call, and the error's name.
func said(err error) string {
	var step *program.Failure
	var clone *program.CloneError
	var host *program.HostFailure
	switch {
	case errors.As(err, &step):
		return step.Call + ": " + named(step.Errno)
	case errors.As(err, &clone):
		return "clone3(" + program.CloneFlags(clone.Flags) + "): " + named(clone.Errno)
	case errors.As(err, &host):
		return shortened(host.Request.Call) + ": " + named(host.Err)
	}
	return named(err)
}

// named puts the error's name before its message, where it has one.
func named(err error) string {
	var errno unix.Errno
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if errors.As(err, &errno) {
		if e := linux.Meaning(int(errno)); e.Name != "" {
			text = strings.Replace(text, errno.Error(), e.Name+" ("+e.Message+")", 1)
		}
	}
	return shortened(text)
}

// shortened leaves out the middle of a call whose arguments fill a screen, as a program for the kernel does.
func shortened(text string) string {
	const most = 400
	if r := []rune(text); len(r) > most {
		return string(r[:most/2]) + " ... " + string(r[len(r)-most/2:])
	}
	return text
}

// cure is the one for rights that were missing, or for a sandbox's filter, where it was these, else otherwise.
func cure(err error, otherwise string) string {
	var clone *program.CloneError
	switch {
	case errors.As(err, &clone) && errors.Is(err, unix.ENOSYS):
		return newerKernel
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return asRoot
	}
	return otherwise
}

// place is a directory of doctor's own on the file system of another.
type place struct {
	dir  string
	lock *store.Lock
}

// scratchPrefix begins the names of doctor's directories; the number of the process follows.
const scratchPrefix = ".glassbox-doctor-"

// beside is a directory of doctor's own on the file system on which dir is, or will be; removed at the end. Those of doctors that were
// killed are cleared away.
func (m *machine) beside(dir string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.scratch[dir]; p != nil {
		return p.dir, nil
	}
	parent := existing(dir)
	sweep(parent)
	name, err := os.MkdirTemp(parent, scratchPrefix+self()+"-")
	if err != nil {
		return "", err
	}
	p := &place{dir: name}
	m.scratch[dir] = p
	p.lock, err = store.Exclusive(context.Background(), name)
	return name, err
}

// existing is dir, or the nearest directory above it that is there.
func existing(dir string) string {
	for dir != "/" {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// sweep removes what doctors have left that were killed: nobody holds the lock.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, scratchPrefix+"*")) // the pattern is well-formed
	for _, dir := range left {
		held, err := store.Held(dir)
		if err == nil && !held && ended(strings.TrimPrefix(filepath.Base(dir), scratchPrefix)) {
			os.RemoveAll(dir) //nolint:errcheck // the next doctor tries again
		}
	}
}

// ended: the process that begins this name is no more, or has not been reaped yet.
func ended(name string) bool {
	pid, _, _ := strings.Cut(name, "-")
	if _, err := strconv.Atoi(pid); err != nil {
		return false
	}
	_, err := os.Readlink("/proc/" + pid + "/exe")
	return errors.Is(err, os.ErrNotExist)
}

func (p *place) remove() {
	os.RemoveAll(p.dir) //nolint:errcheck // the next doctor tries again
	if p.lock != nil {
		p.lock.Release() //nolint:errcheck // it goes with us anyway
	}
}

// folders makes directories below dir, each with a fresh name's meaning for one probe.
func folders(dir string, names ...string) ([]string, error) {
	var all []string
	for _, n := range names {
		path := filepath.Join(dir, n)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

func self() string { return strconv.Itoa(os.Getpid()) }

// count says how many, with the noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
