package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/attendant"
	"glassbox/monitor"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// containers holds every container's state against the kernel.
func (k *check) containers() error {
	ids, err := k.c.root.IDs()
	errs := []error{err}
	for _, id := range ids {
		errs = append(errs, k.container(k.c.root.Container(id)))
	}
	return errors.Join(errs...)
}

func (k *check) container(p store.Place) error {
	r, err := k.c.read(p.ID)
	var damaged *store.Corrupt
	switch {
	case errors.As(err, &damaged):
		return nil // it stands among the documents
	case errors.Is(err, fs.ErrNotExist):
		return k.remnant(p)
	case err != nil:
		return err
	}
	s, err := r.again()
	if errors.As(err, &damaged) {
		k.suspect(ours(r), "the record of its state was damaged", "written anew, as far as it is known", func() error {
			_, err := k.c.state(r)
			return err
		})
		return nil
	}
	if err != nil {
		return err
	}
	alive, err := store.Held(p.Alive())
	if err == nil && !alive && s.lives() {
		s, err = r.again() // it may have ended just now
	}
	switch {
	case err != nil:
		return err
	case !s.lives():
		return k.ended(r, alive)
	case alive:
		return k.running(r)
	}
	k.orphan(r, s)
	if s, err = r.again(); err == nil && s.lives() && k.clean {
		err = k.running(r)
	}
	return err
}

// remnant is a container without a document.
func (k *check) remnant(p store.Place) error {
	if held, err := store.Held(p.Dir); err != nil || held {
		return err
	}
	if _, err := os.Lstat(p.Document() + ".corrupt"); err == nil {
		return nil
	}
	k.suspect(nameless(p.ID), "a command was killed while it made or removed it", "removed", func() error {
		swept, err := p.Swept()
		if err == nil && !swept {
			err = errNotSo
		}
		return err
	})
	return nil
}

// orphan is a container that is said to run, and has no monitor.
func (k *check) orphan(r *record, s state) {
	if !there(r.place.Run) && s.Alive() {
		k.deaf = true
		k.remains(ours(r), "it runs, and its directory "+r.place.Run+" was deleted, so that nobody can reach it", "glassbox restart "+r.Name)
		return
	}
	wrong, done := "its monitor was killed", "another one is with it"
	switch {
	case s.Status == monitor.Restarting:
		wrong, done = "it waits for its restart, and its monitor was killed", "that is recorded as its end"
	case !s.Alive():
		wrong, done = "it is said to run, and has no process", "its end is recorded, as one that nobody saw"
	}
	k.suspect(ours(r), wrong, done, func() error {
		_, err := k.c.state(r)
		return err
	})
}

// running looks at what belongs to a container that runs.
func (k *check) running(r *record) error {
	w, err := liveAt(r.place)
	if w == nil {
		return err
	}
	if there, err := attendant.Running(r.place.Run); err == nil && !there && w.attended() && free(r.place) {
		k.suspect(ours(r), "the process that answers names and holds its ports was killed", "another one is with it", func() error {
			k.c.revive(r, w)
			if there, err := attendant.Running(r.place.Run); err != nil || there {
				return err
			}
			if s, err := k.c.state(r); err != nil || !s.Alive() {
				return errors.Join(errNotSo, err) // it has ended meanwhile, or is between two starts
			}
			return errors.New("it could not be started")
		})
	}
	for _, e := range w.Endpoints {
		if _, done := k.c.networks.mended.LoadOrStore(e.Network, true); done {
			continue
		}
		if err := k.lost(e.Network); err != nil {
			return err
		}
	}
	return nil
}

func free(p store.Place) bool {
	held, err := store.Held(p.Dir)
	return err == nil && !held
}

// ended looks for what a container has that does not run, unless somebody works on it.
func (k *check) ended(r *record, monitored bool) error {
	if monitored || !free(r.place) {
		return nil
	}
	if s, err := r.again(); err != nil || s.Pid != 0 {
		k.suspect(ours(r), "its start was broken off", "what there was of it is gone", func() error {
			return k.stopped(r.place, func() error {
				_, err := k.c.retract(r, s)
				return err
			})
		})
	}
	if g, err := k.c.groupOf(r); err == nil && g.Exists() {
		k.suspect(ours(r), "it does not run, and has the cgroup "+g.Path, "removed, with the processes in it", func() error {
			return k.stopped(r.place, func() error { return k.c.bury(r) })
		})
	}
	if w, err := wiringAt(r.place); err == nil && w != nil {
		k.suspect(ours(r), "it does not run, and is plugged into its networks", "unplugged", func() error {
			return k.stopped(r.place, func() error { return k.c.unplug(r.place) })
		})
	}
	if there, err := attendant.Running(r.place.Run); err == nil && there {
		k.suspect(ours(r), "it does not run, and a process answers names and holds ports for it", "ended", func() error {
			return k.stopped(r.place, func() error { return attendant.Stop(r.place.Run) })
		})
	}
	if left := monitor.Left(r.place.Run); len(left) > 0 {
		k.suspect(ours(r), "its monitor was killed and left "+strings.Join(left, ", ")+" in "+r.place.Run, "removed", func() error {
			return k.stopped(r.place, func() error { return removeAll(r.place.Run, left) })
		})
	}
	return nil
}

func removeAll(dir string, names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, gone(os.Remove(filepath.Join(dir, name))))
	}
	return errors.Join(errs...)
}

// stopped does something to a container that neither runs nor is being started, and keeps others from it meanwhile.
func (k *check) stopped(p store.Place, do func() error) error {
	lock, err := atOnce(p)
	if errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) {
		return errNotSo
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if held, err := store.Held(p.Alive()); err != nil || held {
		return errors.Join(err, errNotSo)
	}
	return do()
}

// runDirectories are those of containers that are no more. No command deletes them last.
func (k *check) runDirectories() error {
	ids, err := k.c.root.RunIDs()
	errs := []error{err}
	for _, id := range ids {
		p := k.c.root.Container(id)
		if _, err := os.Lstat(p.Dir); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		k.suspect("directory "+p.Run, "its container is gone", "removed, with what belonged to it", func() error { return k.c.clearRun(p) })
	}
	return errors.Join(errs...)
}

// clearRun ends whatever is left of a container whose record somebody has deleted.
func (c *Containers) clearRun(p store.Place) error {
	if client, err := monitor.Dial(p.Run); err == nil {
		if err := endThrough(context.Background(), client); err != nil {
			return err
		}
	}
	errs := []error{c.unplug(p), attendant.Stop(p.Run)}
	var spec specs.Spec
	if err := store.Read(p.Spec(), &spec); err == nil && spec.Linux != nil {
		errs = append(errs, c.endAt(spec.Linux.CgroupsPath))
	}
	return errors.Join(append(errs, p.Remove())...)
}

func (c *Containers) endAt(cgroupsPath string) error {
	facts, err := c.groups()
	if err != nil {
		return err
	}
	g, err := facts.Locate(cgroupsPath)
	if err != nil {
		return err
	}
	return end(g)
}

// companions are monitors and attendants whose directory is gone: nobody can reach them.
func (k *check) companions() error {
	lost, err := lasting(func() ([]companion, error) { return companions(k.c.root.Run) })
	lost = slices.DeleteFunc(lost, func(one companion) bool { return k.lives(filepath.Base(one.dir)) })
	for _, one := range lost {
		k.suspect(fmt.Sprintf("process %d (glassrun %s)", one.pid, one.kind), "its directory "+one.dir+" is gone", "killed, with what it was there for", func() error { return k.c.endCompanion(one) })
	}
	return err
}

// lives: the container has a record and a process.
func (k *check) lives(id string) bool {
	r, err := k.c.read(id)
	if err != nil {
		return false
	}
	s, err := r.again()
	return err == nil && s.Alive()
}

// companion is a process that stays with a container.
type companion struct {
	pid       int
	kind, dir string
}

// companions are those below a run directory which is theirs no longer.
func companions(run string) ([]companion, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	var all []companion
	for _, proc := range dirs {
		line, _ := os.ReadFile(proc + "/cmdline")
		words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		one := companion{dir: words[len(words)-1]}
		if len(words) < 3 || words[0] != "glassrun" || !strings.HasPrefix(one.dir, run+"/containers/") {
			continue
		}
		if _, err := os.Lstat(one.dir); !errors.Is(err, fs.ErrNotExist) || !seesOurs(proc) {
			continue
		}
		fmt.Sscanf(proc, "/proc/%d", &one.pid) //nolint:errcheck // the pattern says that it is a number
		one.kind = words[1]
		all = append(all, one)
	}
	return all, err
}

// seesOurs: the process has our file tree. In another mount namespace, a container's for one, the same path means another directory.
func seesOurs(proc string) bool {
	theirs, err := os.Stat(proc + "/ns/mnt")
	ours, err2 := os.Stat("/proc/self/ns/mnt")
	return err == nil && err2 == nil && os.SameFile(theirs, ours)
}

// endCompanion kills the process, and before that the container's group that its children are in.
func (c *Containers) endCompanion(p companion) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	if !strings.Contains(string(line), p.dir) {
		return nil // the number is another's by now
	}
	facts, err := c.groups()
	for _, g := range facts.OfChildren(p.pid) {
		if strings.Contains(g.Path, filepath.Base(p.dir)) {
			err = errors.Join(err, end(g))
		}
	}
	if killed := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); killed != nil && killed != unix.ESRCH {
		err = errors.Join(err, os.NewSyscallError("pidfd_send_signal", killed))
	}
	return err
}
