package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

func root(t *testing.T) Root {
	dir := t.TempDir()
	return Root{Data: dir + "/data", Run: dir + "/run"}
}

func TestMain(m *testing.M) {
	if name := os.Getenv("STORE_CLAIM"); name != "" {
		os.Exit(claimOnce(name))
	}
	os.Exit(m.Run())
}

// claimOnce is the child of TestManyProcessesClaimOneName.
func claimOnce(name string) int {
	id := NewID()
	err := Open().Names().Claim(name, id, func(owner string) bool { return owner == "gone" })
	var taken *Taken
	switch {
	case err == nil:
		fmt.Print("mine ", id)
	case errors.As(err, &taken):
		fmt.Print("taken ", taken.Owner)
	default:
		fmt.Print("error ", err)
	}
	return 0
}

func TestManyProcessesClaimOneName(t *testing.T) {
	for _, before := range []string{"nobody", "a stale owner"} {
		t.Run(before, func(t *testing.T) {
			r := root(t)
			if before != "nobody" {
				if err := r.Names().Claim("web", "gone", nil); err != nil {
					t.Fatal(err)
				}
			}
			const n = 24
			answers := make(chan string, n)
			for range n {
				go func() {
					cmd := exec.Command(os.Args[0])
					cmd.Env = append(os.Environ(), "STORE_CLAIM=web", "GLASSBOX_ROOT="+r.Data, "GLASSBOX_RUN="+r.Run)
					out, err := cmd.Output()
					if err != nil {
						out = []byte("error " + err.Error())
					}
					answers <- string(out)
				}()
			}
			winner, owners := "", map[string]bool{}
			for range n {
				verb, id, _ := strings.Cut(<-answers, " ")
				switch verb {
				case "mine":
					if winner != "" {
						t.Errorf("%s and %s both own the name", winner, id)
					}
					winner = id
				case "taken":
					owners[id] = true
				default:
					t.Errorf("claim: %s %s", verb, id)
				}
			}
			if len(owners) != 1 || !owners[winner] {
				t.Errorf("the losers saw %v, the winner is %q", owners, winner)
			}
			if left, err := r.Names().All(); err != nil || len(left) != 1 {
				t.Errorf("left in the directory: %v, %v", left, err)
			}
		})
	}
}

func TestFind(t *testing.T) {
	r := root(t)
	one, two := "aaaa"+strings.Repeat("1", 60), "aaab"+strings.Repeat("1", 60)
	for _, id := range []string{one, two} {
		lock, err := r.Container(id).Make()
		if err != nil {
			t.Fatal(err)
		}
		lock.Release()
	}
	if err := r.Names().Claim("aaab", one, nil); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]any{
		one: one, "aaaa": one, "aaab": one /* names before prefixes */, "aaab1": two, "/aaab": one,
		"aaa": ErrAmbiguous, "b": fs.ErrNotExist, "": fs.ErrNotExist, "../x": fs.ErrNotExist, strings.Repeat("0", 64): fs.ErrNotExist,
	} {
		got, err := r.Find(ref)
		if e, ok := want.(error); ok && !errors.Is(err, e) || !ok && got != want {
			t.Errorf("Find(%q) = %q, %v; want %v", ref, got, err, want)
		}
	}
}

func TestHalfADocumentIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "container.json")
	if err := os.WriteFile(path, []byte(`{"ID":"ab`), 0o600); err != nil {
		t.Fatal(err)
	}
	var v struct{ ID string }
	var c *Corrupt
	if err := Read(path, &v); !errors.As(err, &c) || c.Path != path {
		t.Fatalf("Read: %v", err)
	}
	if _, err := os.Stat(c.Aside); err != nil || c.Aside != path+".corrupt" {
		t.Errorf("set aside as %q: %v", c.Aside, err)
	}
	if err := Read(path, &v); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second Read: %v", err)
	}
}

func TestCompactKeepsEverythingButZeroValues(t *testing.T) {
	limit := int64(7)
	want := container.HostConfig{
		NetworkMode: "host", DNS: []string{}, Init: new(bool), Sysctls: map[string]string{"a<b": "1"},
		Resources: container.Resources{Memory: 5, CPUPeriod: 9, PidsLimit: &limit, Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}},
	}
	path := filepath.Join(t.TempDir(), "x.json")
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	if len(data) > 230 {
		t.Errorf("%d bytes, not compact: %s", len(data), data)
	}
	var got container.HostConfig
	if err := Read(path, &got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Errorf("written\n%s\nread\n%s", a, b)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("temporary files left: %v", entries)
	}
}

func TestLocks(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	first, err := Exclusive(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := Held(dir); !held || err != nil {
		t.Errorf("Held = %v, %v", held, err)
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if _, err := Shared(soon, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shared while held: %v", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { first.Release() })
	second, err := Exclusive(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
	if held, err := Held(dir); held || err != nil {
		t.Errorf("Held after release = %v, %v", held, err)
	}
	if held, err := Held(dir + "/nope"); held || err != nil {
		t.Errorf("Held of nothing = %v, %v", held, err)
	}
}

func TestEraseDeepTree(t *testing.T) {
	dir := t.TempDir()
	top := dir + "/tree"
	if err := os.Mkdir(top, 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 { // 3000 levels of 11 bytes: longer than a path may be
		if err := unix.Mkdirat(fd, "directory", 0o700); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if err := unix.Mknodat(fd, "file", unix.S_IFREG|0o600, 0); err != nil {
				t.Fatal(err)
			}
		}
		next, err := unix.Openat(fd, "directory", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	if err := erase(top); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := erase(dir + "/nothing"); err != nil {
		t.Error(err)
	}
	if err := erase(dir + "/no/thing"); err != nil {
		t.Error(err)
	}
}

func TestRemoveTakesEverything(t *testing.T) {
	r := root(t)
	p := r.Container(NewID())
	outside := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := p.Make()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for _, dir := range []string{p.Upper() + "/a/b", p.Work(), p.Mount()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Dir(outside), p.Upper()+"/link"); err != nil {
		t.Fatal(err)
	}
	pinned := p.Upper() + "/a/b/pinned"
	if err := os.WriteFile(pinned, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chattr", "+i", pinned).CombinedOutput(); err != nil {
		t.Logf("without an immutable file: chattr: %v %s", err, out)
	}
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{p.Dir, p.Run} {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// What compact writes decodes to what encoding/json's output decodes to, for every kind of value.
func TestCompactWritesEveryKind(t *testing.T) {
	type key string
	type inner struct {
		N  int
		At time.Time
		P  *inner `json:"p,omitempty"`
	}
	type outer struct {
		Maps    map[key]inner
		Any     any
		Bytes   []byte
		Raw     json.RawMessage
		Array   [2]string
		Slice   []*inner
		Numbers map[int]string
		Empty   map[string]string
		Nothing []string
		F       float64
	}
	in := outer{
		Maps: map[key]inner{"b<": {N: 1}, "a": {P: &inner{N: 2}}}, Any: map[string]any{"x": []any{1.5, nil, "\u2028"}},
		Bytes: []byte{0, 255}, Raw: json.RawMessage(`{"k":1}`), Array: [2]string{"", "x"}, Slice: []*inner{nil, {N: 3}},
		Numbers: map[int]string{7: "seven"}, Empty: map[string]string{}, F: 0.1,
	}
	var b bytes.Buffer
	if err := compact(&b, in); err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var got, want outer
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	if err := json.Unmarshal(plain, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("compact wrote %s\nfor           %s", b.Bytes(), plain)
	}
}

// A container's directory can be made while somebody sweeps remains all the time.
func TestMakeAndSweep(t *testing.T) {
	r := root(t)
	stop, swept := make(chan struct{}), make(chan error)
	place := make(chan Place)
	go func() {
		var p Place
		for {
			select {
			case <-stop:
				close(swept)
				return
			case p = <-place:
			default:
				if p.Dir == "" {
					continue
				}
				if err := p.Sweep(); err != nil {
					swept <- err
					return
				}
			}
		}
	}()
	for range 2000 {
		p := r.Container(NewID())
		select {
		case place <- p:
		case err := <-swept:
			t.Fatal(err)
		}
		lock, err := p.Make()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.Document(), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(p.Document()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-swept; err != nil {
		t.Error(err)
	}
}
