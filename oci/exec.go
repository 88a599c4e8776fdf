package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ExecOptions is what exec is told beside the process.
type ExecOptions struct {
	Detach       bool
	IgnorePaused bool
	NoSubreaper  bool
	Cgroup       string // a group below the container's
	Explain      bool
	Handover
}

// Exec starts a further process in the container.
func (s Store) Exec(id string, p *specs.Process, o ExecOptions) (*Session, []program.Account, error) {
	c, err := s.Container(id)
	if err != nil {
		return nil, nil, err
	}
	if err := c.takesProcesses(o.IgnorePaused); err != nil {
		return nil, nil, err
	}
	if err := o.check(p, o.Detach); err != nil {
		return nil, nil, err
	}
	if !o.Detach {
		fit(p)
	}
	rules, err := c.rules()
	if err != nil {
		return nil, nil, err
	}
	if err := ownStreams(p, rules.UIDMappings); err != nil {
		return nil, nil, err
	}
	in, err := c.adopt(rules, o, s.Warn)
	if err != nil {
		return nil, nil, err
	}
	defer in.Pidfd.Close()
	adopts := c.Shares && !o.Detach && !o.NoSubreaper
	if adopts {
		if err := adoptOrphans(); err != nil {
			return nil, nil, err
		}
	}
	child, err := in.Exec(p, runtime.Options{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Preserve: o.inherited(), Explain: o.Explain, Warn: s.Warn,
	})
	if err != nil {
		return nil, accountOf(nil, o.Explain, err), runtime.WhyNotRun(p, err)
	}
	if err := o.handOver(child.Pid, child.Pidfd, child.Console()); err != nil {
		unix.PidfdSendSignal(int(child.Pidfd.Fd()), unix.SIGKILL, nil, 0) //nolint:errcheck // it may have ended
		child.Wait()                                                      //nolint:errcheck // our child
		return nil, nil, err
	}
	session := &Session{process: child, pid: child.Pid, pidfd: child.Pidfd, adopts: adopts}
	if !o.Explain {
		return session, nil, nil
	}
	return session, child.Account(), nil
}

func (c *Container) takesProcesses(ignorePaused bool) error {
	switch c.Status() {
	case Stopped, Creating:
		return errors.New("cannot exec in a stopped container")
	case Paused:
		if !ignorePaused {
			return errors.New("cannot exec in a paused container (use --ignore-paused to override)")
		}
	}
	return nil
}

func (c *Container) rules() (r runtime.Rules, err error) {
	err = readDocument(c.path(fileRules), &r)
	return r, err
}

// adopt takes hold of the container's process and looks at it only then: its number may be reused at any moment.
func (c *Container) adopt(rules runtime.Rules, o ExecOptions, warn func(error)) (*runtime.Container, error) {
	in, err := runtime.Adopt(rules, c.Pid, runtime.Options{Group: c.groupBelow(o.Cgroup), NoGroup: c.Group == "", State: c.told(), Explain: o.Explain, Warn: warn})
	if err != nil {
		return nil, err
	}
	if !c.alive() {
		in.Pidfd.Close()
		return nil, errors.New("cannot exec in a stopped container")
	}
	return in, nil
}

// groupBelow is a group below the container's; ".." does not lead out of it.
func (c *Container) groupBelow(path string) cgroups.Group {
	if c.Group == "" || path == "" {
		return c.Cgroup()
	}
	return cgroups.Group{Path: filepath.Join(c.Group, filepath.Join("/", path))}
}

// ProcessFile reads the process that exec --process names.
func ProcessFile(path string) (*specs.Process, error) {
	text, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	p := new(specs.Process)
	if err := store.Decode(text, p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Overrides is how a process of exec's differs from the container's first one.
type Overrides struct {
	Args       []string
	Cwd        string
	Env        []string // added
	User       string   // uid or uid:gid; empty: the same
	Groups     []uint32 // added
	Caps       []string // added
	Terminal   bool
	NoNewPrivs *bool
	AppArmor   string
	Label      string
}

// Process is the container's process with these differences.
func (s Store) Process(id string, o Overrides) (*specs.Process, error) {
	c, err := s.Container(id)
	if err != nil {
		return nil, err
	}
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	if rules.Process == nil {
		return nil, errors.New("process: missing in config.json")
	}
	return rules.Process, o.apply(rules.Process)
}

func (o Overrides) apply(p *specs.Process) error {
	p.Args, p.Terminal = o.Args, o.Terminal
	p.Env = append(p.Env, o.Env...)
	p.User.AdditionalGids = append(p.User.AdditionalGids, o.Groups...)
	for to, from := range map[*string]string{&p.Cwd: o.Cwd, &p.ApparmorProfile: o.AppArmor, &p.SelinuxLabel: o.Label} {
		if from != "" {
			*to = from
		}
	}
	if o.NoNewPrivs != nil {
		p.NoNewPrivileges = *o.NoNewPrivs
	}
	o.grant(p)
	return o.become(&p.User)
}

// grant adds capabilities. Never to the inheritable ones, from which the container's files would get them (CVE-2022-29162), and so not to
// the ambient ones, which must be inheritable.
func (o Overrides) grant(p *specs.Process) {
	if len(o.Caps) == 0 {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = new(specs.LinuxCapabilities)
	}
	c := p.Capabilities
	c.Bounding, c.Effective, c.Permitted = append(c.Bounding, o.Caps...), append(c.Effective, o.Caps...), append(c.Permitted, o.Caps...)
}

func (o Overrides) become(u *specs.User) error {
	if o.User == "" {
		return nil
	}
	uid, gid, both := strings.Cut(o.User, ":")
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return fmt.Errorf("parsing %s as int for uid failed: %w", uid, err)
	}
	u.UID = uint32(n)
	if !both {
		return nil
	}
	if n, err = strconv.ParseUint(gid, 10, 32); err != nil {
		return fmt.Errorf("parsing %s as int for gid failed: %w", gid, err)
	}
	u.GID = uint32(n)
	return nil
}
