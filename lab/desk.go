package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/engine"
	"glassbox/store"
)

// Desk is where a learner sits: one lesson at a time is under way, on this machine.
type Desk struct {
	Library *Library
	Lacking func(word string) string // what this machine lacks of a word of `needs:`; nil: nobody knows
	Tell    func(message string)     // is told what to know before something is done; may be nil

	engine *engine.Engine
	root   store.Root
	labs   store.Labs
	asked  map[string]string
	slow   int    // how many times longer scripts may take
	refuge string // the control group for processes that a lesson's group has and that are not the lesson's
}

// Open is the desk of this machine. e may be nil for who looks only.
func Open(e *engine.Engine, lib *Library) *Desk {
	root := store.Open()
	slow, _ := strconv.Atoi(os.Getenv("GLASSBOX_LAB_SLOW"))
	return &Desk{Library: lib, engine: e, asked: map[string]string{}, root: root, labs: root.Labs(), slow: min(max(slow, 1), 100)}
}

// setupBound is for setup.sh and reset.sh, which may make images and wait for containers.
const setupBound = 2 * time.Minute

func (d *Desk) tell(format string, a ...any) {
	if d.Tell != nil {
		d.Tell(fmt.Sprintf(format, a...))
	}
}

// active is the lesson under way, as it is kept.
type active struct {
	Lesson string
	From   string // the file of a lesson that is not built in
	Dir    string // $LAB
	Parent bool   // the directory around it was not there before
	Ready  bool   // setup.sh has been run to its end
	Begun  string // when, RFC 3339
	Done   int    // tasks
	Said   string // by the last check, of the task that is open
	Given  []string
	Boot   string   // boot_id, random(4): what follows is of this boot
	Ticks  uint64   // what was started later may be the lesson's
	Seats  []string // the control groups of who gave the commands
	Shells []shell  // the sessions that they were given in
	Before inventory
}

// ErrNone is that no lesson is under way.
var ErrNone = errors.New("no lesson is under way: glassbox lab start NAME")

// read is the lesson under way, or nil. What is damaged is set aside and said.
func (d *Desk) read() (*active, error) {
	a := &active{}
	err := store.Read(d.labs.Active(), a)
	var damaged *store.Corrupt
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &damaged):
		d.tell("%v: which lesson was under way, and what was there before it, is lost", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	return a, nil
}

func (d *Desk) write(a *active) error { return store.Write(d.labs.Active(), a) }

// enter takes the desk for one command, and notes from where it was given.
func (d *Desk) enter(ctx context.Context) (*active, *store.Lock, error) {
	if os.Geteuid() != 0 {
		return nil, nil, errors.New("lessons make namespaces, mounts and groups, which needs root: put sudo in front")
	}
	if err := ownProc(); err != nil {
		return nil, nil, err
	}
	lock, err := d.labs.Lock(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := d.read()
	if err == nil && a != nil && a.seat() {
		err = d.write(a)
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Release())
	}
	return a, lock, nil
}

// seat notes the control group and the session that this command was given from, and whether the machine was started again meanwhile. It says whether that
// is new.
func (a *active) seat() (news bool) {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if id := strings.TrimSpace(string(boot)); id != a.Boot {
		self, _ := readStat(os.Getpid())
		a.Boot, a.Ticks, a.Seats, a.Shells, news = id, self.started, nil, nil, true
	}
	if group := groupOf(os.Getpid()); !contains(a.Seats, group) {
		a.Seats, news = append(a.Seats, group), true
	}
	if s, err := shellOf(os.Getpid()); err == nil && !slices.Contains(a.Shells, s) {
		a.Shells, news = append(a.Shells, s), true
	}
	return news
}

// under is the lesson under way with its text.
func (d *Desk) under(ctx context.Context) (*active, *Lesson, *store.Lock, error) {
	a, lock, err := d.enter(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if a == nil || !a.Ready {
		err = ErrNone
		if a != nil {
			err = fmt.Errorf("the start of %s was cut short: glassbox lab reset", a.Lesson)
		}
		return nil, nil, nil, errors.Join(err, lock.Release())
	}
	l, err := d.lessonOf(a)
	if err != nil {
		return nil, nil, nil, errors.Join(err, lock.Release())
	}
	return a, l, lock, nil
}

// lessonOf is the text of the lesson under way, from where it was read when it was started.
func (d *Desk) lessonOf(a *active) (*Lesson, error) {
	if a.From == "" {
		if l := d.Library.byName(a.Lesson); l != nil && !l.Foreign {
			return l, nil
		}
		return builtin(a.Lesson)
	}
	data, err := ReadLesson(a.From)
	if err != nil {
		return nil, fmt.Errorf("the lesson under way, %s, cannot be read any more (glassbox lab reset ends it): %w", a.Lesson, err)
	}
	l, problems := Parse(a.From, data)
	if len(problems) > 0 {
		return nil, Invalid(problems)
	}
	l.Foreign = true
	return l, nil
}

func (d *Desk) runner(a *active) runner {
	r := runner{scratch: d.labs.Scratch(), dir: a.Dir, env: environment(a.Dir)}
	if a.From != "" { // a directory may have a prelude of its own
		shared, _ := readBounded(os.DirFS(filepath.Dir(a.From)), "prelude.sh", mostPart)
		r.shared = string(shared)
	}
	return r
}

// environment lets scripts say glassbox, and mean this one. HERE is where the command was given.
func environment(dir string) []string {
	here, _ := os.Getwd()
	env := []string{"LAB=" + dir, "HERE=" + here}
	if self, err := os.Executable(); err == nil {
		env = append(env, "PATH="+self[:strings.LastIndexByte(self, '/')]+":"+os.Getenv("PATH"))
	}
	return env
}

// Where is what a learner has before him.
type Where struct {
	Lesson *Lesson
	Number int // in the list; 0: it is not there
	Dir    string
	Done   int
	Again  bool // it was under way already
}

// Task is the open one, or nil.
func (w *Where) Task() *Task {
	if w.Done >= len(w.Lesson.Tasks) {
		return nil
	}
	return &w.Lesson.Tasks[w.Done]
}

func (d *Desk) where(a *active, l *Lesson) *Where {
	w := &Where{Lesson: l, Dir: a.Dir, Done: min(a.Done, len(l.Tasks))}
	for i, other := range d.Library.Lessons {
		if other.ID == l.ID {
			w.Number = i + 1
		}
	}
	return w
}

// Listed is a lesson in the list.
type Listed struct {
	*Lesson
	Done   int      // tasks
	Lacks  []string // words of `needs:`
	Active bool
}

// List is all lessons with what was reached of each. known is false where this user may not read that.
func (d *Desk) List() (all []Listed, known bool, err error) {
	p, err := d.progress()
	if known = !errors.Is(err, fs.ErrPermission); err != nil && known {
		return nil, false, err
	}
	a := &active{}
	if known {
		if under, err := d.read(); err == nil && under != nil {
			a = under
		}
	}
	for _, l := range d.Library.Lessons {
		row := Listed{Lesson: l, Active: a.Lesson == l.ID}
		for _, word := range l.Needs {
			if word != "root" && d.lacking(word) != "" { // who is not root is told so once
				row.Lacks = append(row.Lacks, word)
			}
		}
		if r := p[l.ID]; r != nil && r.Digest == l.Digest {
			row.Done = r.done()
		}
		all = append(all, row)
	}
	return all, known, nil
}

// Show is the lesson under way.
func (d *Desk) Show(ctx context.Context) (*Where, error) {
	a, l, lock, err := d.under(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	return d.where(a, l), nil
}

// Checked is what came of a check.
type Checked struct {
	*Where
	Passed  []int  // tasks, from 1, that were found done now
	Missing string // of the open task, where none was found done
	Hints   int    // how many are left for it
}

// Check looks whether the open task is done, and the ones behind it, up to the first that is not.
func (d *Desk) Check(ctx context.Context) (*Checked, error) {
	a, l, lock, err := d.under(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	c := &Checked{Where: d.where(a, l)}
	for going := true; going && c.Task() != nil; {
		if going, err = d.checkOne(ctx, a, c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkOne checks the open task, and says whether it is done.
func (d *Desk) checkOne(ctx context.Context, a *active, c *Checked) (done bool, err error) {
	n := a.Done + 1
	bound := c.Lesson.Bound * time.Duration(d.slow)
	if err := d.noteOld(a); err != nil {
		return false, fmt.Errorf("%w (glassbox lab reset begins anew)", err)
	}
	o, err := d.runner(a).run(ctx, fmt.Sprintf("check/%d", n), c.Task().Check, bound)
	if err != nil {
		return false, err
	}
	missing := ""
	switch {
	case o.late:
		missing = fmt.Sprintf("the check did not end within %v and was ended: something that it asks hangs (a paused container, a full pipe)", bound)
	case o.code != 0 && o.said == "":
		missing = fmt.Sprintf("the check fails with status %d and does not say why: a mistake of the lesson", o.code)
	case o.code != 0:
		missing = o.said
	}
	if missing != "" && len(c.Passed) > 0 {
		return false, nil // nobody has claimed that this one is done
	}
	if err := d.noteCheck(c.Lesson, n, missing); err != nil {
		return false, err
	}
	if missing != "" {
		a.Said, c.Missing = missing, missing
		c.Hints = c.Task().left(a.Said, a.Given)
		return false, d.write(a)
	}
	a.Done, a.Said, a.Given = n, "", nil
	c.Done, c.Passed = n, append(c.Passed, n)
	return true, d.write(a)
}

// Hinted is a hint.
type Hinted struct {
	*Where
	Text  string   // empty: there are no more
	Given []string // earlier ones
	Left  int
}

// Hint gives one more hint for the open task.
func (d *Desk) Hint(ctx context.Context) (*Hinted, error) {
	a, l, lock, err := d.under(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	h := &Hinted{Where: d.where(a, l), Given: a.Given}
	task := h.Task()
	if task == nil {
		return h, nil
	}
	if h.Text = task.NextHint(a.Said, a.Given); h.Text == "" {
		return h, nil
	}
	a.Given = append(a.Given, h.Text)
	h.Left = task.left(a.Said, a.Given)
	return h, errors.Join(d.noteHint(l, a.Done+1), d.write(a))
}
