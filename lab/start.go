package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Start begins a lesson: it notes what the machine has, makes the lesson's directory and runs its setup.sh. A lesson that is under way
// already is shown again.
func (d *Desk) Start(ctx context.Context, ref string) (*Where, error) {
	l, err := d.Library.Find(ref)
	if err != nil {
		return nil, err
	}
	a, lock, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	switch {
	case a == nil:
	case a.Lesson != l.ID:
		return nil, fmt.Errorf("lesson %s is under way: end it with glassbox lab reset, which keeps what you have reached", a.Lesson)
	case a.Ready:
		if l, err = d.lessonOf(a); err != nil {
			return nil, err
		}
		w := d.where(a, l)
		w.Again = true
		return w, nil
	default: // its start was cut short
		if _, err := d.clean(ctx, a); err != nil {
			return nil, err
		}
	}
	if err := d.fits(l); err != nil {
		return nil, err
	}
	return d.begin(ctx, l)
}

// fits says what stands in the way of a lesson on this machine.
func (d *Desk) fits(l *Lesson) error {
	if lacks := d.lacks(l); len(lacks) > 0 {
		return fmt.Errorf("lesson %s cannot be done on this machine: %s (glassbox doctor says more)", l.ID, strings.Join(lacks, "; "))
	}
	for _, o := range d.existing(l) {
		return fmt.Errorf("lesson %s makes a %s named %s, and there is one already: rename it, or remove it with %s", l.ID, o.Kind, o.Name, byHandCommand(o))
	}
	dir, _, err := directory(l)
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s, where answers to lesson %s go, is there already and not empty: move it away, or name another place with GLASSBOX_LAB_DIR", dir, l.ID)
	}
	return nil
}

// lacks is what this machine lacks for a lesson.
func (d *Desk) lacks(l *Lesson) (lacks []string) {
	for _, word := range l.Needs {
		if lacking := d.lacking(word); lacking != "" {
			lacks = append(lacks, lacking)
		}
	}
	return lacks
}

// lacking asks once for each word: an answer is found by trying.
func (d *Desk) lacking(word string) string {
	if d.Lacking == nil {
		return ""
	}
	answer, is := d.asked[word]
	if !is {
		answer = d.Lacking(word)
		d.asked[word] = answer
	}
	return answer
}

// directory is $LAB, and who owns it: below the home of whoever is behind sudo(8), so that an editor of his can write there.
func directory(l *Lesson) (dir string, owner *user.User, err error) {
	if name := os.Getenv("SUDO_UID"); name != "" && os.Geteuid() == 0 {
		owner, _ = user.LookupId(name)
	}
	parent := os.Getenv("GLASSBOX_LAB_DIR")
	switch {
	case parent != "":
		parent, err = filepath.Abs(parent)
	case owner != nil && filepath.IsAbs(owner.HomeDir):
		parent = owner.HomeDir + "/glassbox-labs"
	default:
		home, wrong := os.UserHomeDir()
		parent, err = home+"/glassbox-labs", wrong
	}
	if err != nil {
		return "", nil, fmt.Errorf("choosing a directory for the lesson: %w", err)
	}
	return filepath.Join(parent, l.ID), owner, nil
}

func (d *Desk) begin(ctx context.Context, l *Lesson) (*Where, error) {
	before, err := d.take()
	if err != nil {
		return nil, err
	}
	dir, owner, err := directory(l)
	if err != nil {
		return nil, err
	}
	a := &active{Lesson: l.ID, Dir: dir, Parent: !isThere(filepath.Dir(dir)), Begun: now(), Before: before}
	if l.Foreign {
		if a.From, err = filepath.Abs(l.File); err != nil {
			return nil, err
		}
		d.tell("Lesson %s comes from %s, not with glassbox. Its scripts run as root on this machine: trust whoever wrote it, or read it first.", l.ID, a.From)
	}
	a.seat()
	// Noted first: whatever comes of the rest, reset finds it.
	if err := d.write(a); err != nil {
		return nil, err
	}
	if err := makeDirectory(dir, owner); err != nil {
		return nil, err
	}
	if err := d.noteOld(a); err != nil {
		return nil, err
	}
	if err := d.setup(ctx, a, l); err != nil {
		_, wrong := d.clean(ctx, a)
		return nil, errors.Join(err, wrong)
	}
	a.Ready = true
	return d.where(a, l), errors.Join(d.write(a), d.note(l, func(*record) {}))
}

func (d *Desk) setup(ctx context.Context, a *active, l *Lesson) error {
	if l.Setup == "" {
		return nil
	}
	o, err := d.runner(a).run(ctx, "setup.sh", l.Setup, setupBound*time.Duration(d.slow))
	switch {
	case err != nil:
		return err
	case o.late:
		return fmt.Errorf("setup.sh of lesson %s did not end within %v", l.ID, setupBound*time.Duration(d.slow))
	case o.code != 0:
		return fmt.Errorf("setup.sh of lesson %s failed with status %d: %s", l.ID, o.code, o.said)
	}
	return nil
}

// makeDirectory makes $LAB, and the directory that holds all of them, for their owner.
func makeDirectory(dir string, owner *user.User) error {
	for _, path := range []string{filepath.Dir(dir), dir} {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.Mkdir(path, 0o755)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil && owner != nil {
			uid, _ := strconv.Atoi(owner.Uid)
			gid, _ := strconv.Atoi(owner.Gid)
			err = unix.Lchown(path, uid, gid)
		}
		if err != nil {
			return fmt.Errorf("making the lesson's directory: %w", err)
		}
	}
	return nil
}
