package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/store"
)

// Cleaned is what a reset did.
type Cleaned struct {
	Lesson  string
	Idle    bool     // no lesson was under way
	Removed []string // "container web"
	Remains []Remaining
}

// Remaining is what was not there before the lesson and is there still: the lesson's, or somebody else's who works on the machine too.
type Remaining struct {
	What string
	Cure string // the command that removes it; empty: nobody knows
}

// Reset brings the machine back to what it was before the lesson. What was there then is never touched. It can be given at any time, also
// twice, and does what is left to do.
func (d *Desk) Reset(ctx context.Context, ref string) (*Cleaned, error) {
	if err := uncover(); err != nil {
		return nil, err
	}
	a, lock, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if a == nil {
		return d.nothing(ref)
	}
	if ref != "" {
		if l, err := d.Library.Find(ref); err != nil || l.ID != a.Lesson {
			return nil, fmt.Errorf("lesson %s is not under way: it is %s", ref, a.Lesson)
		}
	}
	return d.clean(ctx, a)
}

// nothing is a reset without a lesson. What lies where a lesson would put something is named and left: nobody knows whose it is.
func (d *Desk) nothing(ref string) (*Cleaned, error) {
	if ref == "" {
		return &Cleaned{Idle: true}, nil
	}
	l, err := d.Library.Find(ref)
	if err != nil {
		return nil, err
	}
	c := &Cleaned{Lesson: l.ID, Idle: true}
	for _, o := range d.existing(l) {
		c.Remains = append(c.Remains, Remaining{o.Kind + " " + o.Name, byHandCommand(o)})
	}
	if dir, _, err := directory(l); err == nil && isThere(dir) {
		c.Remains = append(c.Remains, Remaining{"directory " + dir, "rm -r " + dir})
	}
	return c, nil
}

// clean undoes a lesson, as far as it has come.
func (d *Desk) clean(ctx context.Context, a *active) (*Cleaned, error) {
	c := &Cleaned{Lesson: a.Lesson}
	l, err := d.lessonOf(a)
	if err != nil {
		d.tell("%v: what it makes by hand is not known", err)
		l = &Lesson{ID: a.Lesson}
	}
	d.refuge = hierarchy()
	for _, seat := range a.Seats {
		if !inGroups(l, seat) && isThere(hierarchy()+seat+"/cgroup.procs") {
			d.refuge = hierarchy() + seat
			break
		}
	}
	var errs []error
	for _, step := range []func() ([]string, error){
		func() ([]string, error) { return d.removeMade(ctx, a.Before) },
		func() ([]string, error) { return d.endByHand(a, l) },
		func() ([]string, error) { return d.removeUsed(l) },
		func() ([]string, error) { return nil, errors.Join(d.undo(ctx, a, l), tidyNetns(a.Before)) },
		func() ([]string, error) { return removeDirectory(a) },
	} {
		removed, err := step()
		c.Removed, errs = append(c.Removed, removed...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	if c.Remains, err = d.remains(a); err != nil {
		return c, err
	}
	return c, errors.Join(os.RemoveAll(d.labs.Scratch()), os.Remove(d.labs.Active()))
}

// undo runs the lesson's reset.sh.
func (d *Desk) undo(ctx context.Context, a *active, l *Lesson) error {
	if l.Reset == "" || !isThere(a.Dir) {
		return nil
	}
	bound := setupBound * time.Duration(d.slow)
	o, err := d.runner(a).run(ctx, "reset.sh", l.Reset, bound)
	switch {
	case err != nil:
		return err
	case o.late:
		return fmt.Errorf("reset.sh of lesson %s did not end within %v", l.ID, bound)
	case o.code != 0:
		return fmt.Errorf("reset.sh of lesson %s failed with status %d: %s", l.ID, o.code, o.said)
	}
	return nil
}

func removeDirectory(a *active) (removed []string, err error) {
	if isThere(a.Dir) {
		removed = []string{"directory " + a.Dir}
		err = unmountBelow(a.Dir)
		if err == nil {
			err = os.RemoveAll(a.Dir)
		}
	}
	if a.Parent {
		_ = os.Remove(filepath.Dir(a.Dir)) // unless somebody has put something there
	}
	return removed, err
}

// remains compares the machine with what it was.
func (d *Desk) remains(a *active) (all []Remaining, err error) {
	now, err := d.take()
	if err != nil {
		return nil, err
	}
	b := a.Before
	for _, kind := range []struct {
		name, cure  string
		before, now []string
	}{
		{"container", "glassbox rm -f %s", b.Containers, now.Containers},
		{"network", "glassbox network rm %s", b.Networks, now.Networks},
		{"volume", "glassbox volume rm %s", b.Volumes, now.Volumes},
		{"image", "glassbox rmi %s", b.Images, now.Images},
		{"build step", "", b.Steps, now.Steps},
		{"interface", "ip link delete %s", b.Links, now.Links},
		{"mount", "umount %s", b.Mounts, now.Mounts},
		{"control group", "rmdir " + hierarchy() + "/%s", b.Groups, now.Groups},
		{"network namespace", "ip netns delete %s", b.Netns, now.Netns},
	} {
		for _, name := range added(kind.before, kind.now) {
			name = shortID(name)
			r := Remaining{What: kind.name + " " + name}
			if kind.cure != "" {
				r.Cure = fmt.Sprintf(kind.cure, name)
			}
			all = append(all, r)
		}
	}
	if now.Host != b.Host && b.Host != "" { // hostname(1), typed outside the namespace that it was meant for
		all = append(all, Remaining{fmt.Sprintf("the host name is %s, and was %s before the lesson", now.Host, b.Host), "hostname " + b.Host})
	}
	for _, p := range d.strangers(a) {
		all = append(all, Remaining{fmt.Sprintf("%v in a namespace of its own, in group %s", p, p.group), fmt.Sprintf("kill -9 %d, if it is yours", p.pid)})
	}
	for _, gone := range []struct {
		name        string
		before, now []string
	}{{"container", b.Containers, now.Containers}, {"network", b.Networks, now.Networks}, {"volume", b.Volumes, now.Volumes}, {"image", b.Tags, now.Tags}, {"interface", b.Links, now.Links}} {
		for _, name := range added(gone.now, gone.before) {
			name, _, _ = strings.Cut(shortID(name), "=")
			all = append(all, Remaining{What: gone.name + " " + name + " was there before the lesson, and is gone"})
		}
	}
	return all, nil
}

// shortID is an id as commands show it; other names stay.
func shortID(name string) string {
	id := strings.TrimPrefix(name, "sha256:")
	if len(id) == store.IDLength && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:12]
	}
	return name
}

// strangers are processes started since in namespaces of their own that were not ended: nothing says that they are the lesson's. Those of
// services and of other engines are none, nor those that this command descends from.
func (d *Desk) strangers(a *active) []process {
	mine := append(ancestors(os.Getpid()), "1")
	return slices.DeleteFunc(d.younger(a), func(p process) bool {
		return !p.away || contains(mine, strconv.Itoa(p.pid)) || slices.ContainsFunc([]string{".service", "docker", "libpod", "crio", "kubepods", "lxc", "glassbox"}, func(word string) bool { return strings.Contains(p.group, word) })
	})
}
