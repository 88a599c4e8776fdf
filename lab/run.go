package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// mostSaid is how much of a script's output is kept.
const mostSaid = 8 << 10

// runner runs the scripts of a lesson.
type runner struct {
	scratch string   // where scripts are put
	dir     string   // the lesson's directory, $LAB
	env     []string // more of the environment
	shared  string   // what stands before each script behind the built-in prelude
}

// outcome is what came of a script.
type outcome struct {
	code int
	said string // on standard error; if nothing was said there, on standard output
	late bool   // it was killed when its time was up
}

// run runs a script by sh(1), in a session of its own, and kills it, with whatever it has started, when its time is up. What it leaves in
// the background otherwise lives on.
func (r runner) run(ctx context.Context, name, text string, bound time.Duration) (outcome, error) {
	path, err := r.write(name, text)
	if err != nil {
		return outcome{}, err
	}
	// What the script starts comes to us when its parent ends, and so can be found when all must end (PR_SET_CHILD_SUBREAPER, prctl(2)).
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return outcome{}, fmt.Errorf("becoming a subreaper: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-u", path)
	c.Dir, c.Env = r.dir, append(os.Environ(), r.env...)
	var stdout, stderr bounded
	c.Stdout, c.Stderr = &stdout, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return killDescendants(os.Getpid()) }
	c.WaitDelay = time.Second // for pipes that something in the background keeps open
	err = c.Run()
	o := outcome{said: strings.TrimSpace(stderr.String()), late: errors.Is(ctx.Err(), context.DeadlineExceeded)}
	if o.said == "" {
		o.said = strings.TrimSpace(stdout.String())
	}
	var exit *exec.ExitError
	switch {
	case o.late:
		return o, killDescendants(os.Getpid())
	case ctx.Err() != nil:
		return o, ctx.Err()
	case errors.As(err, &exit):
		o.code = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return o, fmt.Errorf("running %s of the lesson: %w", name, err)
	}
	return o, nil
}

// write puts a script where sh(1) reads it. Its first line reads the prelude, so that a line's number in what sh says is one more than in
// the lesson's part.
func (r runner) write(name, text string) (string, error) {
	common := filepath.Join(r.scratch, "prelude.sh")
	path := filepath.Join(r.scratch, strings.ReplaceAll(name, "/", "-"))
	err := os.MkdirAll(r.scratch, 0o755)
	for file, content := range map[string]string{common: prelude() + "\n" + r.shared, path: ". '" + common + "'\n" + text + "\n"} {
		err = errors.Join(err, store.Replace(file, []byte(content), 0o600))
	}
	return path, err
}

// killDescendants ends every process below pid, until there is none. Between two looks a process can start others, which the next look finds.
func killDescendants(pid int) error {
	for range 100 {
		below := descendants(pid)
		if len(below) == 0 {
			return nil
		}
		for _, p := range below {
			unix.Kill(p, unix.SIGKILL)
			unix.Wait4(p, nil, unix.WNOHANG, nil) // an orphan is our child now; os/exec waits for its own
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("processes that a script has started do not end: %v", descendants(pid))
}

// descendants are the processes below pid that have not ended.
func descendants(pid int) (below []int) {
	children := map[int][]int{}
	for _, p := range pids() {
		if s, err := readStat(p); err == nil && s.state != 'Z' {
			children[s.parent] = append(children[s.parent], p)
		}
	}
	for next := []int{pid}; len(next) > 0; {
		found := children[next[0]]
		below, next = append(below, found...), append(next[1:], found...)
	}
	return below
}

// pids are the processes that /proc shows.
func pids() (all []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// stat is what we read of proc_pid_stat(5).
type stat struct {
	name     string
	state    byte
	parent   int
	session  int
	terminal int    // its device number, 0: none
	started  uint64 // ticks since boot
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	text := string(data)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("/proc/%d/stat: no name in %q", pid, text)
	}
	w := strings.Fields(text[end+1:])
	if len(w) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat: only %d fields", pid, len(w))
	}
	s := stat{name: text[open+1 : end], state: w[0][0]}
	for i, to := range map[int]*int{1: &s.parent, 3: &s.session, 4: &s.terminal} {
		var wrong error
		*to, wrong = strconv.Atoi(w[i])
		err = errors.Join(err, wrong)
	}
	started, wrong := strconv.ParseUint(w[19], 10, 64)
	s.started = started
	return s, errors.Join(err, wrong)
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	mu   sync.Mutex
	text strings.Builder
	more bool
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := mostSaid - b.text.Len()
	b.more = b.more || len(p) > room
	b.text.Write(p[:min(len(p), room)])
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more {
		return b.text.String() + "\n[the rest is left out]"
	}
	return b.text.String()
}
