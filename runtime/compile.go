package runtime

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"glassbox/cgroups"
	"glassbox/confine"
	"glassbox/namespaces"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Plan is a start before it happens: what the host does and what the child does, phase by phase.
type Plan struct {
	Phases   []program.Phase
	Warnings []string // what config.json asks for and is done without
	Rules    Rules
	Group    cgroups.Group
	Hooks    *Hooks
	set      namespaces.Set
	shift    *rootfs.Shifter           // nil: the child mounts its own root
	taken    map[program.Host]*os.File // with a user namespace: what the host has taken for the child to show
	shown    []rootfs.Take             // those of them that are shown with shifted owners
	process  *program.Process          // the child, once it is made
	child    *int                      // pid of the child, for the host's requests after it is made
	notice   *notice
}

// The gates at which the child waits for the host.
const (
	gateMapped  = "mapped"  // the user namespace exists, its id maps are not written yet
	gateNetwork = "network" // with linux.netDevices: the network namespace exists
	gateMounted = "mounted" // with hooks for it: all is mounted, the root is still the host's
	gateCreated = "created" // the container exists; `start` lets it pass
	gateStart   = "start"   // the same, where another process than the one that created it starts it
)

// Compile turns config.json into a plan. It is pure: it asks the kernel for nothing. The order of what follows is the security
// argument, so it stands in one place:
//
//	cgroup      limits first: nothing of the container ever runs outside its group
//	namespaces  a new world, still with the host's files; nothing of whoever started us is left
//	ids         who root is, before root makes anything
//	files       the container's tree becomes the root; the host's is let go of
//	start       rights are given up last, since everything above needed them; then execve
//
// With hooks that want to see the root before it is changed, files ends there, and the phase root follows.
func Compile(spec *specs.Spec, layers *rootfs.Layers, f Facts) (*Plan, error) {
	if err := check(spec, layers); err != nil {
		return nil, err
	}
	set, err := namespaces.Of(spec)
	if err != nil {
		return nil, err
	}
	set = set.Sharing(f.Shared)
	if err := set.Check(spec); err != nil {
		return nil, err
	}
	group, limits, err := cgroups.Compile(spec.Linux.CgroupsPath, spec.Linux.Resources, f.Cgroups)
	if err != nil {
		return nil, err
	}
	newUser := set.New&unix.CLONE_NEWUSER != 0
	tree := &rootfs.Tree{
		Spec: spec, Dir: f.Dir, Layers: layers, Kinds: f.Kinds, Shift: newUser, Alone: !f.Inherited.CanMount, UserNS: f.Nested || set.Own(unix.CLONE_NEWUSER),
		OwnNet: set.Own(unix.CLONE_NEWNET), OwnPID: set.Own(unix.CLONE_NEWPID), Cgroup: shownGroup(set, group, f.Cgroups),
		NoPivot: f.NoPivot, Kernels: f.Kernels, Foreign: set.New&unix.CLONE_NEWNS == 0,
	}
	p := &Plan{Group: group, Hooks: &Hooks{Spec: spec, State: specs.State{Bundle: f.Dir}, Group: group, Facts: f}, set: set, child: new(int)}
	if err := p.Hooks.check(); err != nil {
		return nil, err
	}
	if tree.UserNS {
		f.Inherited = f.Inherited.Mapped()
	}
	if p.Rules, err = RulesOf(spec); err != nil {
		return nil, err
	}
	if _, err := confine.AffinityOf(spec.Process.ExecCPUAffinity); err != nil {
		return nil, err
	}
	end, err := newEnding(spec.Process, p.Rules, f)
	if err != nil {
		return nil, err
	}
	if uid := owner(spec); uid != nil {
		limits = append(limits, group.Delegate(*uid, f.Cgroups.Delegated)...)
	}
	b := &phases{}

	b.next("cgroup", "A group that counts and limits what the container uses.").Host = limits
	if err := p.birth(b, tree); err != nil {
		return nil, err
	}
	f.Inherited.OOMScore(&b.Builder, spec.Process.OOMScoreAdj) // while /proc is the host's, and what it has of us is still ours to write
	held := set.Open(&b.Builder, spec.Linux.TimeOffsets)
	if newUser {
		if err := p.identify(b, tree); err != nil {
			return nil, err
		}
		if !f.Inherited.CanGroup {
			p.denyGroups(&b.list[len(b.list)-1])
			end.facts.Inherited.Ungrouped = true // nobody can drop ours there
		}
	}
	if set.Joins(unix.CLONE_NEWUSER) {
		f.Inherited.Ungroup(&b.Builder)
		end.facts.Inherited.Ungrouped = true
	}
	set.Enter(&b.Builder, held)
	set.Rest(&b.Builder, held, spec.Linux.TimeOffsets)
	f.Inherited.Reset(&b.Builder)
	namespaces.Hostname(&b.Builder, spec)
	if set.New&unix.CLONE_NEWNET != 0 {
		namespaces.Loopback(&b.Builder)
	}
	if len(spec.Linux.NetDevices) > 0 {
		b.Gate(gateNetwork, "wait for the host's network interfaces")
		b.next("network", "Interfaces of the host become the container's.").Host = namespaces.Move(spec, f.Devices, func() int { return *p.child })
	}

	files := b.next("files", "The container's file tree becomes the root; the host's is let go of.")
	end.label.Open(&b.Builder, end.label.Hold(&b.Builder))
	var hooks [3][]program.Request
	for i, kinds := range [][]HookKind{early, {StartContainer}, {Poststart}} {
		if hooks[i], err = p.Hooks.Requests(kinds...); err != nil {
			return nil, err
		}
	}
	if len(hooks[0]) > 0 {
		files.Why = "The container's file tree, while the root is still the host's."
		tree.Late = func() {
			b.Gate(gateMounted, "wait for the hooks that are to see the root before it is changed")
			b.next("root", "The container's file tree becomes the root; the host's is let go of.").Host = hooks[0]
		}
	}
	p.pausing(tree, b)
	if err := tree.Compile(&b.Builder); err != nil {
		return nil, err
	}
	b.Gate(gateCreated, "the container is created; wait for start")

	if f.Detached {
		b.next("wait", "Whoever created the container ends; it waits for who starts it.")
		b.Await(listener, gateStart, "wait for start")
	}
	b.next("start", "Rights are given up, then the process becomes the program.").Host = hooks[1]
	p.notice = &notice{filter: p.Rules.Filter}
	end.listen = p.notice.listen(b)
	if err := end.become(&b.Builder); err != nil {
		return nil, err
	}
	p.Warnings = append(tree.Warnings(), end.warnings...)
	if len(hooks[2]) > 0 {
		b.next("started", "Who wants to know is told that the program runs.").Host = hooks[2]
	}
	p.Phases = b.done()
	return p, nil
}

// birth begins the phase in which the child is made. What only the host can take of what the container shows of it, it takes first.
func (p *Plan) birth(b *phases, tree *rootfs.Tree) (err error) {
	phase := b.next("namespaces", "A process in new namespaces: it sees a world of its own.")
	if phase.Host, err = p.take(tree); err != nil {
		return err
	}
	grouped := p.Group.Path != ""
	phase.Host = append(phase.Host, program.Request{Call: cloneText(p.set.Clone(), grouped), From: "linux.namespaces", Why: cloneReason(grouped)})
	b.Begin()
	return nil
}

// identify begins the phase in which a user namespace gets its ids, and its root the overlay.
func (p *Plan) identify(b *phases, tree *rootfs.Tree) (err error) {
	b.Gate(gateMapped, "wait until the host has written the id maps")
	phase := b.next("ids", "Who the container's users are on the host.")
	if phase.Host, err = p.identities(tree.Spec, tree.Layers); err != nil {
		return err
	}
	if tree.Layers != nil {
		tree.Layers.Stand(&b.Builder)
	}
	namespaces.Become(&b.Builder)
	return nil
}

// shownGroup is the part of the cgroup tree that the container sees.
func shownGroup(set namespaces.Set, g cgroups.Group, f cgroups.Facts) string {
	if set.Own(unix.CLONE_NEWCGROUP) {
		return g.Path
	}
	return f.Mount
}

// take is the host's half of what a container shows of the host: all of it with a new user namespace, and what is shown with other owners.
func (p *Plan) take(tree *rootfs.Tree) ([]program.Request, error) {
	takes, err := tree.Takes()
	p.taken = map[program.Host]*os.File{}
	var out []program.Request
	for _, t := range takes {
		if !t.ByHost() {
			continue
		}
		out = append(out, t.Requests(func(name program.Host, f *os.File) { p.taken[name] = f })...)
		if t.Owners.OfChild() {
			p.shown = append(p.shown, t)
		} else if t.Owners != nil {
			out = append(out, p.owners(t)...)
		}
	}
	return out, err
}

// owners change as whom a take shows the owners of its files.
func (p *Plan) owners(t rootfs.Take) []program.Request {
	return t.Owners.Requests(t, func() *os.File { return p.taken[t.Host()] }, func() int { return *p.child })
}

// closeOthers leaves the program its streams and so many descriptors after them. The gates' socket is for execve to close. All others go
// before it, since the path of a hostile program could lead through one, /proc/self/fd/7/../../bin/sh, to a file of the host's.
func closeOthers(b *program.Builder, preserve int) {
	b.From("")
	b.Call(unix.SYS_CLOSE_RANGE, 3+preserve, program.Beside{Host: program.Sync, By: -1}, 0).Tolerate(unix.EINVAL).Why("no descriptor of ours stays open, whoever opened it; EINVAL: there is none below the next one")
	b.Call(unix.SYS_CLOSE_RANGE, program.Beside{Host: program.Sync, By: 1}, uint32(0xffffffff), 0).Why("but the one by which the host learns of execve, which closes it")
}

// Names of the host's descriptors that become the process's streams.
const (
	stdin  program.Host = "stdin"
	stdout program.Host = "stdout"
	stderr program.Host = "stderr"
)

// listener is the socket at which a container waits for the process that starts it.
const listener program.Host = "listener"

func streams(b *program.Builder) {
	b.From("")
	for fd, h := range []program.Host{stdin, stdout, stderr} {
		b.Call(unix.SYS_DUP3, h, fd, 0).Why("descriptor %d is the process's %s", fd, h)
	}
}

// execute compiles execve, tried in every directory of PATH as execvp(3) does. Only the last answer counts: a name that was
// found nowhere ends the program there.
func execute(b *program.Builder, p *specs.Process) {
	b.From("process.args")
	candidates := candidates(p)
	for i, path := range candidates {
		call := b.Call(unix.SYS_EXECVE, path, p.Args, p.Env)
		if i == len(candidates)-1 {
			call.Why("become the program: from here on its own instructions run")
			continue
		}
		call.Tolerate(unix.ENOENT, unix.ENOTDIR, unix.EACCES).Why("become the program, if it is in this directory of PATH")
	}
}

func candidates(p *specs.Process) []string {
	name := p.Args[0]
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var out []string
	for _, dir := range strings.Split(searchPath(p.Env), ":") {
		if dir == "" {
			dir = "."
		}
		out = append(out, strings.TrimSuffix(dir, "/")+"/"+name)
	}
	return out
}

func searchPath(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], "PATH="); ok && v != "" {
			return v
		}
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// identities is the host's half of a user namespace: the maps, and the overlay with shifted owners.
func (p *Plan) identities(spec *specs.Spec, layers *rootfs.Layers) ([]program.Request, error) {
	maps := namespaces.MapsOf(spec)
	uid, ok := namespaces.Host(maps.UID, 0)
	gid, okGID := namespaces.Host(maps.GID, 0)
	if !ok || !okGID {
		return nil, errors.New("linux.uidMappings: id 0 is not mapped, and a container is built by its root")
	}
	out := []program.Request{
		writeMap(p.child, "uid_map", namespaces.Text(maps.UID), "linux.uidMappings", "these users inside are those users on the host"),
		writeMap(p.child, "gid_map", namespaces.Text(maps.GID), "linux.gidMappings", "and so the groups"),
	}
	for _, t := range p.shown {
		out = append(out, p.owners(t)...)
	}
	if layers != nil {
		p.shift = rootfs.NewShifter(layers, func() int { return *p.child })
		out = append(out, p.shift.Requests(uid, gid)...)
	}
	return out, nil
}

// denyGroups puts before the writing of the maps what the kernel asks of who has no CAP_SETGID, user_namespaces(7): whoever drops a group
// could get at what only that group may not.
func (p *Plan) denyGroups(ids *program.Phase) {
	deny := writeMap(p.child, "setgroups", "deny", "linux.gidMappings", "who may not change groups here must not do it there: our own stay")
	ids.Host = append([]program.Request{deny}, ids.Host...)
}

// check refuses what no start can do, naming the field.
func check(spec *specs.Spec, layers *rootfs.Layers) error {
	switch {
	case spec.Linux == nil:
		return errors.New("linux: missing")
	case spec.Process == nil:
		return errors.New("process: missing")
	case len(spec.Process.Args) == 0:
		return errors.New("process.args: empty")
	case spec.Process.Args[0] == "":
		return errors.New("process.args[0]: empty")
	case !strings.HasPrefix(spec.Process.Cwd, "/"):
		return fmt.Errorf("process.cwd: %q is not absolute", spec.Process.Cwd)
	case spec.Root == nil || spec.Root.Path == "" && layers == nil:
		return errors.New("root.path: missing")
	case layers != nil && len(layers.Lower) == 0:
		return errors.New("layers.json: no layer")
	case spec.Linux.IntelRdt != nil:
		return errors.New("linux.intelRdt: glassrun manages no resctrl file system")
	case layers != nil:
		return layers.Check()
	}
	return nil
}

// phases builds one program that is told in phases.
type phases struct {
	program.Builder
	list  []program.Phase
	start []int // where in the program each phase begins
}

func (b *phases) next(name, why string) *program.Phase {
	b.list = append(b.list, program.Phase{Name: name, Why: why})
	b.start = append(b.start, len(b.Program()))
	return &b.list[len(b.list)-1]
}

func (b *phases) done() []program.Phase {
	all := b.Program()
	for i := range b.list {
		end := len(all)
		if i+1 < len(b.list) {
			end = b.start[i+1]
		}
		b.list[i].Child = all[b.start[i]:end]
	}
	return b.list
}

// Explain is the plan as an account of what was not asked yet.
func (p *Plan) Explain() []program.Account { return program.Plan(p.Phases) }
