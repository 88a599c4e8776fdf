//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/logfile"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestMain lets the test's own program be the glassrun that Spawn executes.
func TestMain(m *testing.M) {
	if os.Args[0] != "glassrun" {
		code := m.Run()
		if built != "" {
			os.RemoveAll(built)
		}
		os.Exit(code)
	}
	act := func(args []string) error { return run(args, plainStarter{}) }
	if os.Args[1] == "compress" {
		act = Compress
	}
	if err := act(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// box is one container to test with.
type box struct {
	t      testing.TB
	dir    string
	exe    string // the glassrun to launch
	config Config
	spec   specs.Spec
	c      *Client
	pid    int
}

func newBox(t testing.TB, argv ...string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir, exe: "/proc/self/exe"}
	b.config = Config{ID: "test", StateFile: filepath.Join(dir, "state.json"), Log: logfile.Config{Driver: logfile.JSON, File: filepath.Join(dir, "log")}}
	b.spec.Process = &specs.Process{Args: argv, Cwd: "/"}
	t.Cleanup(b.end)
	return b
}

func shell(t testing.TB, script string) *box { return newBox(t, "/bin/sh", "-c", script) }

func (b *box) terminal() *box {
	b.spec.Process.Terminal, b.config.Tty = true, true
	return b
}

// end leaves nothing behind, whatever the test did.
func (b *box) end() {
	if b.c != nil {
		b.c.Close()
	}
	s, err := ReadState(b.config.StateFile)
	if err == nil && s.Alive() {
		unix.Kill(-s.Pid, unix.SIGKILL)
		unix.Kill(s.Pid, unix.SIGKILL)
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if held, _ := store.Held(b.dir + "/lock"); !held {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if log, _ := os.ReadFile(b.dir + "/monitor.log"); len(log) > 0 && b.t.Failed() {
		b.t.Logf("monitor.log: %s", log)
	}
}

func (b *box) write(name string, v any) {
	b.t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, name), data, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// spawnFor starts a monitor for dir as the engine does.
func spawnFor(glassrun, dir string) (*Client, error) {
	c, err := Spawn(glassrun)
	if err == nil {
		c.For(dir)
	}
	return c, err
}

func (b *box) launch() *Client {
	b.t.Helper()
	b.write("monitor.json", b.config)
	b.write("config.json", b.spec)
	c, err := spawnFor(b.exe, b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	b.c = c
	return c
}

func (b *box) create() *Client {
	b.t.Helper()
	c := b.launch()
	pid, err := c.Create()
	if err != nil {
		b.t.Fatal(err)
	}
	b.pid = pid
	return c
}

func (b *box) start() *Client {
	b.t.Helper()
	c := b.create()
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// adopt starts a second monitor; ErrDead-like errors are the test's to judge.
func (b *box) adopt() (*Client, error) {
	c, err := Adopt(b.exe, b.dir)
	if err != nil {
		return nil, err
	}
	b.c = c
	_, err = c.Create()
	return c, err
}

// attach makes a stream that is read into a buffer in the background.
func (b *box) attach(spec AttachSpec) *follower {
	b.t.Helper()
	s, err := b.c.Attach(spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return follow(b.t, s)
}

var both = AttachSpec{Stdin: true, Stdout: true, Stderr: true}

type follower struct {
	*Stream
	t        testing.TB
	out, err bytes.Buffer
	code     int
	failure  error
	done     chan struct{}
}

func follow(t testing.TB, s *Stream) *follower {
	f := &follower{Stream: s, t: t, done: make(chan struct{})}
	t.Cleanup(func() { s.Close() })
	go func() {
		defer close(f.done)
		f.code, f.failure = s.Copy(&f.out, &f.err)
	}()
	return f
}

// wait waits for the end and returns the exit code.
func (f *follower) wait() int {
	f.t.Helper()
	select {
	case <-f.done:
	case <-time.After(20 * time.Second):
		f.t.Fatal("the stream did not end within 20 s")
	}
	if f.failure != nil {
		f.t.Fatal(f.failure)
	}
	return f.code
}

func (b *box) wait() int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	code, err := b.c.Wait(ctx, "")
	if errors.Is(err, ErrDead) {
		return b.state().ExitCode
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

func (b *box) state() State {
	b.t.Helper()
	s, err := ReadState(b.config.StateFile)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

type logEntry struct{ Log, Stream, Time string }

// log reads the log; every line must be whole, but for one that is just being written.
func (b *box) log() (entries []logEntry) {
	b.t.Helper()
	data, err := os.ReadFile(b.config.Log.File)
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range bytes.Lines(data[:bytes.LastIndexByte(data, '\n')+1]) {
		var e logEntry
		if err := json.Unmarshal(line, &e); err != nil {
			b.t.Fatalf("log line %.100q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, e.Time); err != nil {
			b.t.Fatalf("log line %.100q: %v", line, err)
		}
		entries = append(entries, e)
	}
	return entries
}

// logged is what the log holds of one stream.
func (b *box) logged(stream string) string {
	b.t.Helper()
	var text strings.Builder
	for _, e := range b.log() {
		if e.Stream == stream {
			text.WriteString(e.Log)
		}
	}
	return text.String()
}

func (b *box) entries() (texts []string) {
	b.t.Helper()
	for _, e := range b.log() {
		texts = append(texts, e.Log)
	}
	return texts
}

// until waits for something to become true.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
