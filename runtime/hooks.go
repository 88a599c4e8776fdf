package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/confine"
	"glassbox/namespaces"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// HookKind is a moment in a container's life at which programs of config.json's hooks run.
type HookKind string

// The kinds in their order.
const (
	Prestart        HookKind = "prestart"
	CreateRuntime   HookKind = "createRuntime"
	CreateContainer HookKind = "createContainer"
	StartContainer  HookKind = "startContainer"
	Poststart       HookKind = "poststart"
	Poststop        HookKind = "poststop"
)

// HookKinds are the kinds by their names in config.json, in their order.
func HookKinds() []string {
	return []string{string(Prestart), string(CreateRuntime), string(CreateContainer), string(StartContainer), string(Poststart), string(Poststop)}
}

// moment is what a kind of hooks means, runtime.md and config.md of the runtime spec. To the spec a container is created as soon as its
// environment is, which is before the first hook.
type moment struct {
	status specs.ContainerState // what the hook is told
	inside bool                 // it runs in the container's namespaces
	warns  bool                 // its failure changes nothing
	phase  string               // of the plan
	why    string
}

var moments = map[HookKind]moment{
	Prestart:        {specs.StateCreated, false, false, "root", "run the hook in our namespaces: the container's exist, its root is not changed yet"},
	CreateRuntime:   {specs.StateCreated, false, false, "root", "run the hook in our namespaces: the container's exist, its root is not changed yet"},
	CreateContainer: {specs.StateCreated, true, false, "root", "run the hook, a program of ours, in the container's namespaces: its root is not changed yet"},
	StartContainer:  {specs.StateCreated, true, false, "start", "run the hook, a program of the container's, with no more rights than the container's process will have"},
	Poststart:       {specs.StateRunning, false, true, "started", "run the hook in our namespaces: the container's program runs"},
	Poststop:        {specs.StateStopped, false, true, "", "run the hook in our namespaces: the container is gone"},
}

// early are the kinds that run before the container's root is changed.
var early = []HookKind{Prestart, CreateRuntime, CreateContainer}

// Hooks are the programs that config.json wants to be run, and what they are told.
type Hooks struct {
	Spec  *specs.Spec
	State specs.State   // what each reads as JSON on its standard input: id and bundle; the rest is set for it
	Pid   int           // of the container's process as we see it; 0 when it is gone
	Pidfd *os.File      // refers to it, for hooks that run inside
	Group cgroups.Group // hooks that run inside are counted there
	Facts Facts         // for hooks that run inside; Run observes what it needs if they are not given
}

// Run runs all hooks of a kind, in their order. The first that fails ends it, but for Poststart and Poststop: their failures are for
// warn, and the rest runs all the same.
func (h *Hooks) Run(kind HookKind, warn func(error)) error { return h.run(kind, warn, nil) }

func (h *Hooks) run(kind HookKind, warn func(error), note func(program.Request, error)) error {
	if note == nil {
		note = func(program.Request, error) {}
	}
	if moments[kind].inside && h.any(kind) && h.Facts.Inherited.Rlimits == nil {
		if err := h.observe(); err != nil {
			return err
		}
	}
	for i := range h.list(kind) {
		requests, err := h.requests(kind, i)
		if err == nil {
			err = program.Carry(requests, note, new([]func() error))
		}
		switch {
		case err == nil:
		case !moments[kind].warns:
			return err
		case warn != nil:
			warn(err)
		}
	}
	return nil
}

// observe finds what hooks that run inside need to know, where the container was created by another process.
func (h *Hooks) observe() error {
	joined, err := differing(h.Pid)
	if err != nil {
		return err
	}
	h.Facts.Shared, h.Facts.Modules = ^joined, confine.ObserveModules(h.Spec.Process)
	h.Facts.Inherited, err = confine.Observe()
	return err
}

// Requests are what running all hooks of a kind asks of the kernel: for each the making of its process, its change of namespaces and
// its execve. What the process does between is its own affair, as what the hook does is.
func (h *Hooks) Requests(kinds ...HookKind) ([]program.Request, error) {
	var all []program.Request
	for _, kind := range kinds {
		for i := range h.list(kind) {
			requests, err := h.requests(kind, i)
			if err != nil {
				return nil, err
			}
			all = append(all, requests...)
		}
	}
	return all, nil
}

func (h *Hooks) list(kind HookKind) []specs.Hook {
	if h == nil || h.Spec.Hooks == nil {
		return nil
	}
	switch l := h.Spec.Hooks; kind {
	case Prestart:
		return l.Prestart //nolint:staticcheck // deprecated by the spec, which wants it all the same
	case CreateRuntime:
		return l.CreateRuntime
	case CreateContainer:
		return l.CreateContainer
	case StartContainer:
		return l.StartContainer
	case Poststart:
		return l.Poststart
	default:
		return l.Poststop
	}
}

// any says whether there is a hook of one of these kinds.
func (h *Hooks) any(kinds ...HookKind) bool {
	return slices.ContainsFunc(kinds, func(k HookKind) bool { return len(h.list(k)) > 0 })
}

// check refuses hooks that the spec forbids, naming the field.
func (h *Hooks) check() error {
	for _, name := range HookKinds() {
		kind := HookKind(name)
		for i, k := range h.list(kind) {
			from := fmt.Sprintf("hooks.%s[%d]", kind, i)
			switch {
			case !strings.HasPrefix(k.Path, "/"):
				return fmt.Errorf("%s.path: %q is not absolute", from, k.Path)
			case k.Timeout != nil && *k.Timeout <= 0:
				return fmt.Errorf("%s.timeout: %d is not greater than zero", from, *k.Timeout)
			}
		}
	}
	return nil
}

// requests are those for one hook.
func (h *Hooks) requests(kind HookKind, i int) ([]program.Request, error) {
	spec := h.list(kind)[i]
	if len(spec.Args) == 0 {
		spec.Args = []string{spec.Path}
	}
	set, err := namespaces.Of(h.Spec)
	if err != nil {
		return nil, err
	}
	k := &hook{Hooks: h, moment: moments[kind], spec: spec, early: slices.Contains(early, kind), joined: set.Sharing(h.Facts.Shared).Flags()}
	if k.program, err = k.compile(kind); err != nil {
		return nil, err
	}
	from := fmt.Sprintf("hooks.%s[%d]", kind, i)
	out := []program.Request{{
		Call: cloneText(0, k.inside && h.Group.Path != ""), From: from, Why: "make a process for a hook; it finds the container's state on its standard input", Gives: "<pid>", Do: k.start,
	}}
	for _, s := range k.program {
		if s.Call == unix.SYS_SETNS {
			out = append(out, program.Request{Call: told(s), From: from, Why: s.Why, Do: k.enter})
		}
	}
	last := k.program[len(k.program)-1]
	return append(out, program.Request{Call: told(last), From: from, Why: k.why, Do: k.finish}), nil
}

// told is a step as a request of the host's, where descriptors have names.
func told(s program.Step) string {
	return s.Text(func(a program.Arg) (int64, string) { return 0, "<" + a.Str + ">" }, nil)
}

// hook is one run of one hook.
type hook struct {
	*Hooks
	moment
	early   bool
	spec    specs.Hook
	joined  uint64 // the namespaces that are not ours, CLONE_NEW*
	program program.Program
	process *program.Process
	output  *capture
	began   time.Time
	entered bool // execve has happened
}

// compile is what the hook's process does: little, so that nothing of ours is in its way.
func (k *hook) compile(kind HookKind) (program.Program, error) {
	b := &program.Builder{}
	b.Begin()
	switch kind {
	default:
		b.Call(unix.SYS_SETSID).Why("a session of its own: should it take too long, all that it started can be killed")
		streams(b)
		b.Call(unix.SYS_CHDIR, k.State.Bundle).Tolerate(unix.ENOENT, unix.ENOTDIR, unix.EACCES).Why("stand in the bundle, as long as there is one")
		closeOthers(b, 0)
	case CreateContainer:
		enter(b, nil, k.joined, k.Facts, nil)
		streams(b)
		b.Call(unix.SYS_FCHDIR, root).Why("stand in what will be the container's root")
		closeOthers(b, 0)
	case StartContainer:
		end, err := k.ending()
		if err != nil {
			return nil, err
		}
		enter(b, k.Spec.Process.OOMScoreAdj, k.joined, k.Facts, &end.label)
		end.rules.stand(b)
		if err := end.confine(b); err != nil {
			return nil, err
		}
	}
	b.Call(unix.SYS_EXECVE, k.spec.Path, k.spec.Args, k.spec.Env).Why("become the hook")
	return b.Program(), nil
}

// ending gives up all rights that the container's process gives up: what runs is the image's.
func (k *hook) ending() (*ending, error) {
	p, f := *k.Spec.Process, k.Facts
	p.Terminal, f.Preserve = false, 0
	if k.joined&unix.CLONE_NEWUSER != 0 {
		f.Inherited = f.Inherited.Mapped()
		f.Inherited.Ungrouped = true // by enter
	}
	rules, err := RulesOf(k.Spec)
	if err != nil {
		return nil, err
	}
	return newEnding(&p, rules.deaf(), f)
}

// start makes the process.
func (k *hook) start() (err error) {
	k.began = time.Now()
	state, err := k.state()
	if err != nil {
		return err
	}
	defer state.Close()
	if k.output, err = newCapture(); err != nil {
		return err
	}
	defer k.output.given()
	hosts, err := streamFiles(Options{Stdin: state, Stdout: k.output.writing[0], Stderr: k.output.writing[1]}, false)
	if err != nil {
		return err
	}
	defer closeAll(hosts)
	if !k.inside {
		k.process, err = program.Start(k.program, program.Clone{}, hosts, false)
		return err
	}
	return k.startInside(hosts)
}

func (k *hook) startInside(hosts map[program.Host]*os.File) (err error) {
	if k.early {
		hosts[root], err = os.OpenFile(fmt.Sprintf("/proc/%d/cwd", k.Pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	} else if !namespaces.Makes(k.Spec, specs.MountNamespace) {
		hosts[root], err = openRoot(k.Pid)
	}
	if err != nil {
		return err
	}
	hosts[container] = k.Pidfd
	defer delete(hosts, container)
	group, err := k.Group.OpenFor(k.Pid)
	if err != nil {
		return err
	}
	if group != nil {
		defer group.Close()
	}
	k.process, err = program.Start(k.program, program.Clone{Cgroup: group}, hosts, false)
	return err
}

// state is what the hook reads: a file of its own, which ends where the text ends and never makes us wait.
func (k *hook) state() (*os.File, error) {
	s := k.State
	s.Status, s.Pid, s.Annotations = k.status, k.Pid, k.Spec.Annotations
	if k.status == specs.StateStopped {
		s.Pid = 0
	}
	if s.Version == "" {
		s.Version = specs.Version
	}
	if k.inside {
		var err error
		if s.Pid, err = innerPid(k.Pid); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file for the container's state: %w", err)
	}
	f := os.NewFile(uintptr(fd), "state")
	if _, err = f.Write(text); err == nil {
		_, err = f.Seek(0, 0)
	}
	return f, err
}

// innerPid is the number that a process has in its own PID namespace: the last of NSpid, proc_pid_status(5).
func innerPid(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	numbers := strings.Fields(line)
	if len(numbers) == 0 {
		return pid, nil
	}
	return strconv.Atoi(numbers[len(numbers)-1])
}

// enter waits until the process has become the hook, or has failed.
func (k *hook) enter() error {
	if err := k.process.Finish(); err != nil {
		return k.abandon(err)
	}
	k.entered = true
	return nil
}

// finish waits for the hook's end.
func (k *hook) finish() error {
	if !k.entered {
		if err := k.enter(); err != nil {
			return err
		}
	}
	defer k.process.Pidfd.Close()
	limit := time.Duration(0)
	if k.spec.Timeout != nil {
		limit = time.Duration(*k.spec.Timeout) * time.Second
	}
	inTime := k.output.follow(k.process.Pidfd, k.began, limit)
	if !inTime {
		unix.Kill(-k.process.Pid, unix.SIGKILL) //nolint:errcheck // its session: all that it has started
	}
	status, err := wait(k.process.Pid)
	switch {
	case err != nil:
		return err
	case !inTime:
		return fmt.Errorf("killed after its timeout of %v%s", limit, k.output)
	case status.Signaled():
		return fmt.Errorf("ended by signal %s%s", unix.SignalName(status.Signal()), k.output)
	case status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d%s", status.ExitStatus(), k.output)
	}
	return nil
}

// abandon ends a process that did not become the hook. Its failure is the request's, not a step's of the container.
func (k *hook) abandon(err error) error {
	k.output.close()
	k.process.Kill()
	k.process.Pidfd.Close()
	var f *program.Failure
	switch {
	case !errors.As(err, &f):
		return err
	case f.Step.Call == unix.SYS_EXECVE || f.Step.Call == unix.SYS_SETNS: // which is the request
		return f.Errno
	}
	return fmt.Errorf("%s: %s: %w", f.Step.Why, f.Call, f.Errno)
}
