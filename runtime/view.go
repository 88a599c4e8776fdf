package runtime

import (
	"os"
	"strconv"
	"time"

	"glassbox/namespaces"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// View is a container's file tree without the container: a process of ours waits in it, and does nothing. It is made by the steps
// that make a container's own, so that what it shows is what a start would show: root, mounts, owners.
type View struct {
	Root *os.File // the tree's root, O_PATH

	mounts    *os.File // its mount namespace: should the process be killed, what is mounted stays while we look
	container *Container
}

// Look makes the tree that spec describes by its root, mounts and user namespace.
func Look(spec *specs.Spec, layers *rootfs.Layers) (*View, error) {
	plan, err := compileView(spec, layers)
	if err != nil {
		return nil, err
	}
	c := &Container{spec: spec, plan: plan, began: time.Now()}
	if err := c.create(Options{}); err != nil {
		return nil, c.abandon(err)
	}
	v := &View{container: c}
	if v.mounts, err = os.Open("/proc/" + strconv.Itoa(c.Pid) + "/ns/mnt"); err == nil {
		v.Root, err = os.OpenFile("/proc/"+strconv.Itoa(c.Pid)+"/root", unix.O_PATH|unix.O_DIRECTORY, 0)
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close ends the process; the mounts go with it.
func (v *View) Close() {
	v.container.process.Kill()
	closeAll(v.container.plan.taken)
	for _, f := range []*os.File{v.Root, v.mounts} {
		if f != nil {
			f.Close()
		}
	}
}

// compileView is what Compile does up to the gate, without a group, other namespaces and rights: nothing runs.
func compileView(spec *specs.Spec, layers *rootfs.Layers) (*Plan, error) {
	set, err := namespaces.Of(spec)
	if err != nil {
		return nil, err
	}
	newUser := set.New&unix.CLONE_NEWUSER != 0
	tree := &rootfs.Tree{Spec: spec, Dir: "/", Layers: layers, Kinds: sourceKinds(spec, "/"), Shift: newUser, UserNS: newUser, Still: true}
	p := &Plan{set: set, child: new(int)}
	b := &phases{}
	if err := p.birth(b, tree); err != nil {
		return nil, err
	}
	if newUser {
		if _, err := p.identify(b, tree); err != nil {
			return nil, err
		}
	}
	b.next("files", "The container's file tree, to be looked at.")
	p.pausing(tree, b)
	if err := tree.Compile(&b.Builder); err != nil {
		return nil, err
	}
	b.Gate(gateCreated, "wait until the host has seen enough")
	p.Phases = b.done()
	return p, nil
}
