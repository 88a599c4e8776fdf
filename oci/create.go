package oci

import (
	"errors"
	"os"
	"time"

	"glassbox/namespaces"
	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Options is what create and run are told beside the container's id.
type Options struct {
	Bundle  string
	NoPivot bool // the root is moved instead, for a bundle on a ramdisk
	Keyring bool // the process keeps our session keyring
	Explain bool
	Step    func(program.Stop) (program.Answer, error) // asked before each step; nil: nobody is
	Handover
}

// creation is a container that is being created by this process.
type creation struct {
	*Container
	options Options
	bundle  *bundle
	store   Store
	lock    *store.Lock
	process *runtime.Container // nil before its program is compiled
}

// Create creates the container of a bundle, whose process then waits for Start. The account is there after a failure too, if it was asked for.
func (s Store) Create(id string, o Options) ([]program.Account, error) {
	b, err := open(o.Bundle)
	if err != nil {
		return nil, err
	}
	if err := o.check(b.spec.Process, true); err != nil {
		return nil, err
	}
	c, err := s.begin(id, b, o)
	if err != nil {
		return nil, err
	}
	if err := c.create(); err != nil {
		defer c.lock.Release()
		return accountOf(c.process, o.Explain, err), errors.Join(err, c.discard())
	}
	// Not the other way round: the process that waits has a copy of the lock, and would keep it if we were killed between.
	return accountOf(c.process, o.Explain, nil), errors.Join(c.lock.Release(), c.process.Leave())
}

// begin claims the id.
func (s Store) begin(id string, b *bundle, o Options) (*creation, error) {
	c, lock, err := s.claim(id)
	if err != nil {
		return nil, err
	}
	c.record = record{
		Version: specs.Version, ID: id, Bundle: b.dir, Rootfs: b.root(), Created: time.Now().UTC(),
		Annotations: b.spec.Annotations, Owner: os.Getuid(), Shares: !namespaces.Makes(b.spec, specs.PIDNamespace), Hooks: b.spec.Hooks != nil, Sockets: o.Sockets, Systemd: s.Systemd,
	}
	c.complete(b.spec)
	return &creation{Container: c, options: o, bundle: b, store: s, lock: lock}, nil
}

// create makes the container. Its process will wait at start.sock.
func (c *creation) create() error {
	listener, err := c.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	memory, err := os.OpenFile(c.path(fileProgram), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer memory.Close()
	return c.bear(listener, memory)
}

// bear makes the container's process. What will be made is noted first, and what was made before anybody can come to use it.
func (c *creation) bear(listener, memory *os.File) error {
	if err := ownStreams(c.bundle.spec.Process, namespaces.MapsOf(c.bundle.spec).UID); err != nil {
		return err
	}
	o := runtime.Options{
		Dir: c.Bundle, Layers: c.bundle.layers, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Listener: listener, Memory: memory, Preserve: c.options.inherited(), Keyring: c.options.Keyring, NoPivot: c.options.NoPivot,
		Explain: c.options.Explain, Step: c.options.Step, State: c.told(), Warn: c.store.Warn, SystemdCgroup: c.Systemd,
	}
	err := c.make(o)
	if c.store.Rootless.forgives(err) {
		o.NoGroup = true
		err = c.make(o)
	}
	if err != nil {
		return runtime.WhyNotRun(c.bundle.spec.Process, err)
	}
	if listener != nil { // run need not look: its execve tells at once, and as what step
		if err := c.lookup(); err != nil {
			return err
		}
	}
	c.Pid = c.process.Pid
	if c.Began, err = runtime.Began(c.Pid); err != nil {
		return err
	}
	if err := store.Write(c.path(fileState), c.record); err != nil {
		return err
	}
	return c.options.handOver(c.Pid, c.process.Pidfd, c.process.Console())
}

// make compiles the program and carries it out. While the process makes its file tree, we write down what it is made from.
func (c *creation) make(o runtime.Options) (err error) {
	if c.process, err = runtime.Prepare(c.bundle.spec, o); err != nil {
		return err
	}
	c.Group = c.process.Group().Path
	if err := store.Put(c.path(fileState), c.record); err != nil {
		return err
	}
	var noted error
	o.Born = func(int) { noted = c.note() }
	return errors.Join(c.process.Create(o), noted)
}

// lookup finds the program, unless there is none yet: a container without a process can be created.
func (c *creation) lookup() error {
	if c.bundle.spec.Process == nil {
		return nil
	}
	return c.process.Lookup(c.bundle.spec.Process)
}

// note writes down what the container is made from.
func (c *creation) note() error {
	return errors.Join(
		store.WriteFile(c.path(fileConfig), c.bundle.config, 0o600),
		store.Put(c.path(fileFacts), c.process.Facts()),
		store.Put(c.path(fileRules), c.process.Rules()),
	)
}

// discard takes back a creation that failed. One that failed early has run its poststop hooks already.
func (c *creation) discard() error {
	if c.process == nil {
		return c.erase()
	}
	if err := c.process.Destroy(); err != nil || c.Pid == 0 {
		return errors.Join(err, c.erase())
	}
	return c.remove(c.store.Warn)
}

// accountOf is what was asked of the kernel, also when it failed; nil if nobody wants to know.
func accountOf(c *runtime.Container, explain bool, err error) []program.Account {
	var u *runtime.Unfinished
	switch {
	case errors.As(err, &u):
		return u.Account
	case c == nil || !explain:
		return nil
	}
	return c.Account()
}
