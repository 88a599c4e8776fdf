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
	c, err := decide(spec, layers, f)
	if err != nil {
		return nil, err
	}
	c.next("cgroup", "A group that counts and limits what the container uses.").Host = c.limits
	for _, compile := range []func() error{c.world, c.files, c.start} {
		if err := compile(); err != nil {
			return nil, err
		}
	}
	c.plan.Warnings = append(c.tree.Warnings(), c.end.warnings...)
	c.plan.Phases = c.done()
	return c.plan, nil
}

// compilation is a plan in the making.
type compilation struct {
	phases
	plan   *Plan
	spec   *specs.Spec
	facts  Facts
	set    namespaces.Set
	tree   *rootfs.Tree
	end    *ending
	limits []program.Request
	hooks  struct{ early, start, after []program.Request }
}

// decide looks at the whole of config.json before anything is compiled, so that what cannot be had is refused with its field.
func decide(spec *specs.Spec, layers *rootfs.Layers, f Facts) (*compilation, error) {
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
	if uid := owner(spec); uid != nil {
		limits = append(limits, group.Delegate(*uid, f.Cgroups.Delegated)...)
	}
	p := &Plan{Group: group, Hooks: &Hooks{Spec: spec, State: specs.State{Bundle: f.Dir}, Group: group, Facts: f}, set: set, child: new(int)}
	c := &compilation{plan: p, spec: spec, facts: f, set: set, limits: limits, tree: treeOf(spec, layers, f, set, group)}
	if c.tree.UserNS {
		c.facts.Inherited = f.Inherited.Mapped()
	}
	if p.Rules, err = RulesOf(spec); err != nil {
		return nil, err
	}
	if _, err := confine.AffinityOf(spec.Process.ExecCPUAffinity); err != nil {
		return nil, err
	}
	if c.end, err = newEnding(spec.Process, p.Rules, c.facts); err != nil {
		return nil, err
	}
	return c, c.decideHooks()
}

func (c *compilation) decideHooks() (err error) {
	h := c.plan.Hooks
	if err := h.check(); err != nil {
		return err
	}
	if c.hooks.early, err = h.Requests(early...); err != nil {
		return err
	}
	if c.hooks.start, err = h.Requests(StartContainer); err != nil {
		return err
	}
	c.hooks.after, err = h.Requests(Poststart)
	return err
}

func treeOf(spec *specs.Spec, layers *rootfs.Layers, f Facts, set namespaces.Set, g cgroups.Group) *rootfs.Tree {
	return &rootfs.Tree{
		Spec: spec, Dir: f.Dir, Layers: layers, Kinds: f.Kinds, Kernels: f.Kernels, NoPivot: f.NoPivot,
		Shift: set.New&unix.CLONE_NEWUSER != 0, UserNS: f.Nested || set.Own(unix.CLONE_NEWUSER), Alone: !f.Inherited.CanMount,
		OwnNet: set.Own(unix.CLONE_NEWNET), OwnPID: set.Own(unix.CLONE_NEWPID), Foreign: set.New&unix.CLONE_NEWNS == 0 && f.Without != "mount", Without: f.Without,
		Cgroup: shownGroup(set, g, f.Cgroups),
	}
}

// world compiles the process's birth, its namespaces, and who it is in them.
func (c *compilation) world() error {
	p, b, in := c.plan, &c.Builder, c.facts.Inherited
	if err := p.birth(&c.phases, c.tree); err != nil {
		return err
	}
	in.OOMScore(b, c.spec.Process.OOMScoreAdj) // while /proc is the host's, and what it has of us is still ours to write
	held := c.set.Open(b, c.spec.Linux.TimeOffsets)
	if c.tree.Shift {
		ids, err := p.identify(&c.phases, c.tree)
		if err != nil {
			return err
		}
		if !in.CanGroup {
			p.denyGroups(ids)
			c.end.facts.Inherited.Ungrouped = true // nobody can drop ours there
		}
	}
	if c.set.Joins(unix.CLONE_NEWUSER) {
		in.Ungroup(b)
		c.end.facts.Inherited.Ungrouped = true
	}
	c.set.Enter(b, held)
	c.set.Rest(b, held, c.spec.Linux.TimeOffsets)
	in.Reset(b)
	namespaces.Hostname(b, c.spec)
	if c.set.New&unix.CLONE_NEWNET != 0 {
		namespaces.Loopback(b)
	}
	if len(c.spec.Linux.NetDevices) > 0 {
		b.Gate(gateNetwork, "wait for the host's network interfaces")
		c.next("network", "Interfaces of the host become the container's.").Host = namespaces.Move(c.spec, c.facts.Devices, func() int { return *p.child })
	}
	return nil
}

// files compiles the file tree, up to where the container is created.
func (c *compilation) files() error {
	const becomes = "The container's file tree becomes the root; the host's is let go of."
	phase := c.next("files", becomes)
	c.end.label.Open(&c.Builder, c.end.label.Hold(&c.Builder))
	if len(c.hooks.early) > 0 {
		phase.Why = "The container's file tree, while the root is still the host's."
		c.tree.Late = func() {
			c.Gate(gateMounted, "wait for the hooks that are to see the root before it is changed")
			c.next("root", becomes).Host = c.hooks.early
		}
	}
	c.plan.pausing(c.tree, &c.phases)
	if err := c.tree.Compile(&c.Builder); err != nil {
		return err
	}
	c.Gate(gateCreated, "the container is created; wait for start")
	return nil
}

// start compiles what `start` lets happen.
func (c *compilation) start() error {
	if c.facts.Detached {
		c.next("wait", "Whoever created the container ends; it waits for who starts it.")
		c.Await(listener, gateStart, "wait for start")
	}
	c.next("start", "Rights are given up, then the process becomes the program.").Host = c.hooks.start
	c.plan.notice = &notice{filter: c.plan.Rules.Filter}
	c.end.listen = c.plan.notice.listen(&c.phases)
	if err := c.end.become(&c.Builder); err != nil {
		return err
	}
	if len(c.hooks.after) > 0 {
		c.next("started", "Who wants to know is told that the program runs.").Host = c.hooks.after
	}
	return nil
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
func (p *Plan) identify(b *phases, tree *rootfs.Tree) (phase *program.Phase, err error) {
	b.Gate(gateMapped, "wait until the host has written the id maps")
	phase = b.next("ids", "Who the container's users are on the host.")
	if phase.Host, err = p.identities(tree.Spec, tree.Layers); err != nil {
		return nil, err
	}
	if tree.Layers != nil {
		tree.Layers.Stand(&b.Builder)
	}
	namespaces.Become(&b.Builder)
	return phase, nil
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
	first []int // where in the program each phase begins
}

func (b *phases) next(name, why string) *program.Phase {
	b.list = append(b.list, program.Phase{Name: name, Why: why})
	b.first = append(b.first, len(b.Program()))
	return &b.list[len(b.list)-1]
}

func (b *phases) done() []program.Phase {
	all := b.Program()
	for i := range b.list {
		end := len(all)
		if i+1 < len(b.list) {
			end = b.first[i+1]
		}
		b.list[i].Child = all[b.first[i]:end]
	}
	return b.list
}

// Explain is the plan as an account of what was not asked yet.
func (p *Plan) Explain() []program.Account { return program.Plan(p.Phases) }
