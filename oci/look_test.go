package oci_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"
	"glassbox/test/need"
)

// list is as runc's: a table, ids, JSON, and null where there is none.
func TestList(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	const none = "ID          PID         STATUS      BUNDLE      CREATED     OWNER"
	if out := b.ok("list"); out != none {
		t.Errorf("no container: %q", out)
	}
	if out := b.ok("list", "--format", "json"); out != "null" {
		t.Errorf("no container as JSON: %q", out)
	}
	b.create()
	s := b.state()
	want := []string{b.ID, strconv.Itoa(s.Pid), "created", b.Dir, s.Created.Format(time.RFC3339Nano), "root"}
	_, line, _ := strings.Cut(b.ok("list"), "\n")
	if got := strings.Fields(line); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("table: %q, want %q", got, want)
	}
	if out := b.ok("list", "-q"); out != b.ID {
		t.Errorf("ids: %q", out)
	}
	var states []state
	if err := json.Unmarshal([]byte(b.ok("list", "-f", "json")), &states); err != nil || len(states) != 1 || states[0].ID != b.ID || states[0].Owner != "root" {
		t.Errorf("JSON: %v %+v", err, states)
	}
	b.refused(1, "invalid format option", "list", "--format", "xml")
	b.refused(1, `"list" requires exactly 0 argument(s)`, "list", b.ID)
}

// A container that cannot be read is told of and hides no other; what is no container is not shown.
func TestListOfDamage(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.create()
	for dir, text := range map[string]string{"broken": "{", "remains": ""} {
		if err := os.Mkdir(b.Path("state/"+dir), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(b.Path("state/" + dir)) })
		if text != "" {
			if err := os.WriteFile(b.Path("state/"+dir+"/state.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := b.run("list", "-q"); a.Out != b.ID || a.Code != 0 || !strings.Contains(a.Errs, "container broken: ") || strings.Contains(a.Errs, "remains") {
		t.Errorf("%+v", a)
	}
	os.RemoveAll(b.Path("state/broken"))
	os.RemoveAll(b.Path("state/remains"))
}

// ps shows the container's processes and nobody else's, in the columns of ps(1).
func TestPs(t *testing.T) {
	b := script(t, "sleep 1000 & exec sleep 1001")
	b.quiet("run", "--detach", "--bundle", b.written(), b.ID)
	var table string
	eventually(t, func() error {
		table = b.ok("ps", b.ID)
		if strings.Count(table, "\n") != 2 || !strings.Contains(table, " sleep 1000") || !strings.Contains(table, " sleep 1001") || strings.Contains(table, "exec") {
			return fmt.Errorf("want two processes, have %q", table)
		}
		return nil
	})
	if !strings.HasPrefix(table, "UID") {
		t.Errorf("%q", table)
	}
	if out := b.ok("ps", b.ID, "-o", "pid,args"); !strings.HasPrefix(strings.TrimSpace(out), "PID") || strings.Count(out, "sleep 100") != 2 {
		t.Errorf("with columns of one's own: %q", out)
	}
	var pids []int
	if err := json.Unmarshal([]byte(b.ok("ps", "--format", "json", b.ID)), &pids); err != nil || len(pids) != 2 {
		t.Errorf("JSON: %v %v", err, pids)
	}
	b.refused(1, "couldn't find PID field in ps output", "ps", b.ID, "-o", "args")
	b.refused(1, "container does not exist", "ps", "nobody")
}

// written is the bundle's directory, with config.json in it.
func (b *box) written() string {
	b.Write(b.t)
	return b.Dir
}

// events measures a container in runc's form, at intervals until its end.
func TestEvents(t *testing.T) {
	b := script(t, "i=0; while test $i -lt 20000; do i=$((i+1)); done; exec sleep 1000")
	b.create()
	b.ok("start", b.ID)
	var e struct {
		Type, ID string
		Data     struct {
			CPU struct {
				Usage struct{ Total, User, Kernel uint64 }
			}
		}
	}
	eventually(t, func() error {
		if err := json.Unmarshal([]byte(b.ok("events", "--stats", b.ID)), &e); err != nil {
			return err
		}
		if e.Type != "stats" || e.ID != b.ID || e.Data.CPU.Usage.Total < 1000_000 {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	b.refused(1, "duration interval must be greater than 0", "events", "--interval", "0s", b.ID)
	follow := b.command("events", "--interval", "10ms", b.ID)
	ended := make(chan bundle.Answer)
	go func() { ended <- bundle.Run(t, follow) }()
	time.Sleep(100 * time.Millisecond) // for a few of them; one more is certain
	b.ok("kill", b.ID, "KILL")
	select {
	case a := <-ended:
		if a.Code != 0 || a.Errs != "" {
			t.Errorf("%+v", a)
		}
	case <-time.After(time.Minute):
		t.Fatal("events goes on after the container's end")
	}
	b.await("stopped")
	b.refused(1, "container with id "+b.ID+" is not running", "events", "--stats", b.ID)
}

// A process that is killed for want of memory is an event.
func TestEventsTellOfOOM(t *testing.T) {
	need.CgroupV2(t, "memory")
	b := script(t, "read go; (tail /dev/zero); exec sleep 1000")
	limit := int64(16 << 20)
	b.Spec.Linux.Resources = resources(limit)
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	create := b.command("run", "--detach", "--bundle", b.written(), b.ID)
	create.Stdin = in
	out, err := os.Create(b.Path("output"))
	if err != nil {
		t.Fatal(err)
	}
	create.Stdout, create.Stderr = out, out
	if a := bundle.Run(t, create); a.Code != 0 {
		t.Fatalf("run: %s", b.output())
	}
	in.Close()
	follow := b.command("events", "--interval", "1h", b.ID)
	told, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer follow.Wait() //nolint:errcheck // it ends with the container
	defer b.run("kill", b.ID, "KILL")
	eventually(t, func() error { return watching(follow.Process.Pid) })
	if _, err := feed.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	var e struct{ Type, ID string }
	if err := json.NewDecoder(told).Decode(&e); err != nil || e.Type != "oom" || e.ID != b.ID {
		t.Errorf("%v %+v", err, e)
	}
}

// watching says whether a process has memory.events open, so that nothing is missed from now on.
func watching(pid int) error {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if to, _ := os.Readlink(dir + e.Name()); strings.HasSuffix(to, "/memory.events") {
			return nil
		}
	}
	return fmt.Errorf("process %d does not watch yet", pid)
}
