package why

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"glassbox/labs"
	"glassbox/screen"

	"golang.org/x/sys/unix"
)

// lessonIs fails for one that does not exist.
func lessonIs(t *testing.T, where, id string) {
	t.Helper()
	if _, err := fs.Stat(labs.Files, id+".txtar"); err != nil && id != "" {
		t.Errorf("%s: no lesson %s", where, id)
	}
}

// TestTable: every entry can be asked about by each of its names, and says all that there is to say.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range all() {
		where := meaning(k.Errno).Name + " " + k.Calls[0]
		if k.Manual == "" || len(k.Causes) == 0 {
			t.Errorf("%s: no manual, or no causes", where)
		}
		for _, c := range k.Calls {
			key := meaning(k.Errno).Name + " " + c
			if seen[key] {
				t.Errorf("%s stands twice", key)
			}
			seen[key] = true
			if find(k.Errno, plain(c)) != k {
				t.Errorf("%s is not found", key)
			}
		}
		for _, c := range k.Causes {
			if c.Name == "" || c.Why == "" || c.Check == "" || c.Fix == "" || c.Learn == "" {
				t.Errorf("%s, %s: something is empty", where, c.Name)
			}
			lessonIs(t, where, c.Learn)
		}
	}
	for _, s := range sayings {
		lessonIs(t, s.text, s.Learn)
	}
}

// TestEverythingCanBeAsked: no test stumbles over objects that are missing, foreign or strange.
func TestEverythingCanBeAsked(t *testing.T) {
	for _, objects := range [][]string{nil, {"/nowhere/at/all"}, {"1"}, {"/", "/proc"}, {"x\x1b[2J", "memory", "y"}} {
		for _, k := range all() {
			a, err := Ask(Question{Errno: k.Errno, Call: k.Calls[0], Objects: objects})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := a.Draw(&b, screen.Style{Width: 40}); err != nil || strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), "\nNext: ") {
				t.Errorf("%s %v: %v\n%s", k.Calls[0], objects, err, b.String())
			}
		}
	}
}

func TestErrno(t *testing.T) {
	for text, want := range map[string]unix.Errno{"EPERM": unix.EPERM, "eperm": unix.EPERM, "1": unix.EPERM, "-22": unix.EINVAL, "Operation not permitted": unix.EPERM, "invalid argument": unix.EINVAL, "EWOULDBLOCK": unix.EAGAIN, "ENOTSUP": unix.EOPNOTSUPP} {
		if got, ok := Errno(text); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "0", "999", "ENOTHING", "mount"} {
		if got, ok := Errno(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
	var unheard *NotKnown
	if _, err := Ask(Question{Errno: unix.EPERM, Call: "mounty"}); !errors.As(err, &unheard) || unheard.Nearest[0].Calls[0] != "mount" {
		t.Errorf("%v", err)
	}
}

// TestCards: what an error is known by, and that it is the tested cause that is told.
func TestCards(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		f   Failed
		why string
	}{
		{Failed{Text: "No such container: x"}, ""},
		{Failed{Text: `Conflict. The container name "/web" is already in use by container "1"`}, "a name belongs to one container"},
		{Failed{Call: "pivot_root", Errno: unix.EINVAL, Text: "step 9: pivot_root: invalid argument"}, "pivot_root answers EINVAL for one of these: new root is no mount point"},
		{Failed{Call: "mount", Errno: unix.EINVAL, Text: "mount overlay: invalid argument", Store: dir}, "overlay answers EINVAL for one of these"},
		{Failed{Errno: unix.EBUSY, Text: "write /nowhere/cgroup/x/cgroup.subtree_control: device or resource busy"}, "cgroup.subtree_control answers EBUSY"},
		{Failed{Errno: unix.EROFS, Text: `mkdirat(AT_FDCWD, "/sys/fs/cgroup/glassbox", 0755): making group /sys/fs/cgroup/glassbox: read-only file system`}, "cgroup answers EROFS"},
		{Failed{Errno: unix.EPERM, Text: `making the built-in image tiny:latest: unpacking "bin/": lchown bin: operation not permitted`}, "chown answers EPERM"},
	} {
		card, found := CardFor(c.f)
		if !found || !strings.HasPrefix(card.Why, c.why) {
			t.Errorf("%+v: %+v", c.f, card)
		}
	}
	if c, found := CardFor(Failed{Text: "something new"}); found {
		t.Errorf("%+v", c)
	}
}
