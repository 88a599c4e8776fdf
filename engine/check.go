package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"glassbox/store"
)

// Finding is one thing that is left over or wrong.
type Finding struct {
	Object  string // such as: container 0a1b2c3d4e5f (web)
	Wrong   string // what is wrong with it
	Done    string // what was done about it; empty: it remains
	Failure error  // why what was tried did not help
	Remedy  string // what the user can do about what remains
}

// Remains: somebody has to do something.
func (f Finding) Remains() bool { return f.Done == "" }

// check looks for what killed commands, monitors and attendants have left, and for what contradicts the kernel.
//
// It runs beside other commands, and what they are in the middle of must not look left over. So each look relies on the order in which they
// work: they note down first (a record, a wiring, a claim by a container whose lock is held) what they make afterwards, and strike it out
// last. Whoever looks first for what is there, and then for what is noted, finds only what nobody will miss.
type check struct {
	c      *Containers
	builds *Builds
	clean  bool
	found  []Finding
	deaf   bool // a container runs of which no wiring tells what it has
}

// Check names what is left over or wrong on this host, and with clean does away with it.
func (s *System) Check(clean bool) ([]Finding, error) {
	k := &check{c: s.containers, builds: &Builds{root: s.root, containers: s.containers}, clean: clean}
	var errs []error
	for _, look := range []func() error{
		k.containers, k.runDirectories, k.companions, k.groups, k.mounts, k.claims, k.networks, k.table, k.interfaces, k.volumes, k.images, k.works, k.documents,
	} {
		errs = append(errs, look())
	}
	return k.found, errors.Join(errs...)
}

// errNotSo is what a cure returns that finds nothing to cure: it was somebody else's work in progress.
var errNotSo = errors.New("it is not so any more")

// suspect is told of a thing that looks wrong. cure makes sure that it is, under the locks that this needs, and puts it right.
func (k *check) suspect(object, wrong, done string, cure func() error) {
	f := Finding{Object: object, Wrong: wrong}
	if k.clean {
		if f.Failure = cure(); errors.Is(f.Failure, errNotSo) {
			return
		}
		if f.Failure == nil {
			f.Done = done
		}
	}
	k.found = append(k.found, f)
}

// remains notes what only the user can put right.
func (k *check) remains(object, wrong, remedy string) {
	k.found = append(k.found, Finding{Object: object, Wrong: wrong, Remedy: remedy})
}

// leaves notes what another glassbox on this host may need.
func (k *check) leaves(object, wrong, remedy string) {
	k.found = append(k.found, Finding{Object: object, Wrong: wrong, Done: "left alone, as a glassbox with another GLASSBOX_ROOT may have it; if none has: " + remedy})
}

// calm is how long something has to look left over where no lock tells whether somebody works on it.
const calm = 300 * time.Millisecond

// lasting keeps of what was found that which is found once more after a moment.
func lasting[T comparable](look func() ([]T, error)) ([]T, error) {
	first, err := look()
	if err != nil || len(first) == 0 {
		return nil, err
	}
	time.Sleep(calm)
	again, err := look()
	return slices.DeleteFunc(first, func(one T) bool { return !slices.Contains(again, one) }), err
}

// ours calls a container by its short id and, where it has one, its name.
func ours(r *record) string { return "container " + r.short() + " (" + r.Name + ")" }

func nameless(id string) string { return "container " + id[:min(12, len(id))] }

// whose is a container as a sentence calls it that may be no more.
func (k *check) whose(id string) string {
	if r, err := k.c.read(id); err == nil {
		return ours(r)
	}
	return nameless(id)
}

// documents are those that were damaged and set aside, and the halves of documents that killed commands were writing.
func (k *check) documents() error {
	var errs []error
	for _, dir := range k.c.root.Places() {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			switch {
			case strings.HasSuffix(e.Name(), ".corrupt"):
				k.remains(path, "a damaged document that was set aside", k.remedy(path))
			case store.Forsaken(path):
				k.suspect(path, "a command was killed while it wrote it", "removed", func() error { return gone(os.Remove(path)) })
			}
		}
	}
	return errors.Join(errs...)
}

// remedy for a damaged document: a container without its own is of no use to anybody; what else was lost is known again.
func (k *check) remedy(path string) string {
	if whole := strings.TrimSuffix(path, ".corrupt"); filepath.Base(whole) == "container.json" {
		return "glassbox rm -f " + filepath.Base(filepath.Dir(path))[:12]
	}
	return "look at it, then rm " + path
}
