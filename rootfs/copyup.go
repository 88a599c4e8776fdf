package rootfs

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// gateFill is where the child waits for the host to fill a tmpfs.
const gateFill = "fill"

// filled says whether the host must do something to a new file system, while the child holds what that will cover.
func (t *Tree) filled(m specs.Mount, o options) bool {
	return t.isNew(m) && m.Type == "tmpfs" && !t.Still && (o.copyUp || !o.given("mode"))
}

// given says whether an option of this name has a value.
func (o options) given(name string) bool {
	return slices.ContainsFunc(o.data, func(w string) bool { return strings.HasPrefix(w, name+"=") })
}

// copyUp compiles tmpcopyup: the new tmpfs, which nobody sees yet, gets what the directory that it will cover holds. A program of calls
// cannot walk a tree.
func (t *Tree) copyUp(b *program.Builder, i int, tree any, at program.Slot) {
	m := t.Spec.Mounts[i]
	o := parse(m.Options)
	t.atGate(b, i, tree, at, "copied what "+m.Destination+" holds", "and the tmpfs; fill it, with owners, modes, links and times as they are",
		func(into, covered *os.File) error { return t.fillUp(into, covered, o) })
}

// liken compiles what runc does and Docker relies on: a tmpfs whose options give no mode has that of the directory which it covers, such
// as /run's, if the image has one.
func (t *Tree) liken(b *program.Builder, i int, tree any, at, existed program.Slot) {
	if existed == 0 {
		return
	}
	t.atGate(b, i, tree, at, "given it the mode of "+t.Spec.Mounts[i].Destination, "and the tmpfs; give it the mode of that, if the image has it",
		func(into, covered *os.File) error {
			if made := t.Answer(existed) == 0; made {
				return nil
			}
			return likeMode(into, covered, true, 0)
		})
}

// The numbers under which the child holds both until the host has fetched them.
const (
	fillFrom = 1001 // the directory that will be covered
	fillInto = 1002 // the new file system
)

// atGate compiles what the host does to a new file system and the directory that it will cover. The child waits, holding both; the host
// fetches their descriptors, pidfd_getfd(2), and resolves no path of the container's.
func (t *Tree) atGate(b *program.Builder, i int, tree any, at program.Slot, wait, why string, do func(into, covered *os.File) error) {
	from := step(i) + ".options"
	var covered *os.File
	b.Call(unix.SYS_DUP3, at, fillFrom, unix.O_CLOEXEC).Why("where the host finds the directory that will be covered")
	b.Call(unix.SYS_DUP3, tree, fillInto, unix.O_CLOEXEC).Why("and the new file system")
	t.Pause(gateFill, "wait until the host has "+wait, program.Request{
		Call: fmt.Sprintf("pidfd_getfd(<process>, %d, 0)", fillFrom), From: from, Why: "get the directory that will be covered", Gives: "<directory>",
		Do: func() (err error) {
			covered, err = t.Fetch(fillFrom)
			return err
		},
	}, program.Request{
		Call: fmt.Sprintf("pidfd_getfd(<process>, %d, 0)", fillInto), From: from, Why: why, Gives: "<tmpfs>",
		Do: func() error {
			defer covered.Close()
			into, err := t.Fetch(fillInto)
			if err != nil {
				return err
			}
			defer into.Close()
			return do(into, covered)
		},
	})
	b.From("%s", step(i))
	b.Call(unix.SYS_CLOSE_RANGE, fillFrom, fillInto, 0).Why("done with both")
}

// fillUp copies, and leaves the root of the tmpfs what its own options say of it.
func (t *Tree) fillUp(into, covered *os.File, o options) error {
	var own, was unix.Stat_t
	err := unix.Fstat(int(into.Fd()), &own)
	if err == nil {
		err = unix.Fstat(int(covered.Fd()), &was)
	}
	if err == nil {
		err = t.Copy(into, covered)
	}
	if err != nil {
		return err
	}
	uid, gid := int(was.Uid), int(was.Gid)
	if o.given("uid") {
		uid = int(own.Uid)
	}
	if o.given("gid") {
		gid = int(own.Gid)
	}
	if err := unix.Fchownat(int(into.Fd()), "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	return likeMode(into, covered, !o.given("mode"), own.Mode)
}

// likeMode gives a directory held by O_PATH the mode of another one, or its own back: by its name, since fchmod(2) does not take it.
func likeMode(dir, other *os.File, like bool, own uint32) error {
	if like {
		var st unix.Stat_t
		if err := unix.Fstat(int(other.Fd()), &st); err != nil {
			return err
		}
		own = st.Mode
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), own&0o7777)
}
