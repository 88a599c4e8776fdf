package program

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Traced is one system call as strace saw it.
type Traced struct {
	Pid    int
	Call   string // name and arguments
	Result string // what follows the equals sign
	Line   int    // of strace's output, counted from 1, where the call began
}

func (t Traced) String() string { return t.Call + " = " + t.Result }

// Trace reads what `strace -f -v -s 65536` wrote, with -o or on a terminal: calls in the order in which they began. A call that
// strace cut in two because another process came between is whole again. Signals and ends of processes are left out, as is
// an attempt that a signal interrupted and the kernel then repeated.
func Trace(r io.Reader) ([]Traced, error) {
	t := tracer{open: map[int]int{}}
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := t.line(strings.TrimSuffix(line, "\n"), n); err != nil {
				return nil, fmt.Errorf("line %d of the trace: %w", n, err)
			}
		}
		if err == io.EOF {
			return t.finished(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the trace: %w", err)
		}
	}
}

// tracer gathers calls; open holds, by process, the index of the one that is not finished yet.
type tracer struct {
	calls []Traced
	open  map[int]int
}

const unfinished = " <unfinished ...>"

func (t *tracer) line(text string, n int) error {
	pid, rest := leader(text)
	switch {
	case strings.HasPrefix(rest, "+++ superseded by execve in pid "):
		return t.supersede(pid, rest)
	case rest == "" || strings.HasPrefix(rest, "--- ") || strings.HasPrefix(rest, "+++ ") || strings.HasPrefix(rest, "strace: "):
		return nil
	case strings.HasPrefix(rest, "<... "):
		return t.resume(pid, rest)
	case strings.HasSuffix(rest, unfinished):
		t.open[pid] = len(t.calls)
		t.calls = append(t.calls, Traced{Pid: pid, Call: strings.TrimSuffix(rest, unfinished), Line: n})
		return nil
	}
	call, result, ok := split(rest)
	if !ok {
		return fmt.Errorf("neither a call nor a signal: %q", rest)
	}
	t.calls = append(t.calls, Traced{Pid: pid, Call: call, Result: result, Line: n})
	return nil
}

// supersede follows an execve by a thread that is not its process's first: it goes on under the first one's number.
func (t *tracer) supersede(pid int, text string) error {
	thread, err := strconv.Atoi(strings.Trim(text, "+ abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		return fmt.Errorf("no thread in %q", text)
	}
	if i, ok := t.open[thread]; ok {
		delete(t.open, thread)
		t.open[pid] = i
		t.calls[i].Pid = pid
	}
	return nil
}

func (t *tracer) resume(pid int, text string) error {
	i, ok := t.open[pid]
	if !ok {
		return fmt.Errorf("process %d resumes a call that it did not begin: %q", pid, text)
	}
	delete(t.open, pid)
	_, rest, ok := strings.Cut(text, " resumed>")
	if !ok {
		return fmt.Errorf("a call resumes without saying so: %q", text)
	}
	c := &t.calls[i]
	call, result, ok := split(c.Call + rest)
	if !ok {
		return fmt.Errorf("a resumed call has no result: %q", text)
	}
	c.Call, c.Result = call, result
	return nil
}

// finished leaves out what was interrupted by a signal. A call that never returned, because its process was killed
// or replaced in it, keeps an empty result.
func (t *tracer) finished() []Traced {
	var kept []Traced
	for _, c := range t.calls {
		if !c.interrupted() {
			kept = append(kept, c)
		}
	}
	return kept
}

// interrupted is an attempt that a signal ended, and which is made again: by the kernel, or by the caller where the kernel leaves that
// to it, as it does with the verification of a program.
func (t Traced) interrupted() bool {
	return strings.HasPrefix(t.Result, "? ERESTART") || strings.HasPrefix(t.Call, "bpf(BPF_PROG_LOAD,") && strings.HasPrefix(t.Result, "-1 EAGAIN")
}

// leader takes the process number off a line: "123  read(...", or "[pid   123] read(..." on a terminal.
func leader(line string) (pid int, rest string) {
	number, rest := "", line
	if after, ok := strings.CutPrefix(line, "[pid "); ok {
		number, rest, _ = strings.Cut(strings.TrimLeft(after, " "), "] ")
	} else if i := strings.IndexByte(line, ' '); i > 0 {
		number, rest = line[:i], strings.TrimLeft(line[i:], " ")
	}
	pid, err := strconv.Atoi(number)
	if err != nil {
		return 0, line
	}
	return pid, rest
}

// split parts a finished call at its last equals sign. A string argument may hold what looks like one, but a result never does.
func split(line string) (call, result string, ok bool) {
	i := strings.LastIndex(line, " = ")
	if i < 0 {
		return "", "", false
	}
	call = strings.TrimRight(line[:i], " ")
	return call, line[i+3:], strings.HasSuffix(call, ")")
}

// Child picks the calls of a child of clone3, from its birth to the execve that made something else of it, or to its end. After
// a second clone with CLONE_PARENT they go on in the process that this made.
func Child(calls []Traced, pid int) []Traced {
	var own []Traced
	for i, c := range calls {
		if c.Pid != pid {
			continue
		}
		if own = append(own, c); becomes(c) {
			return own
		}
		if strings.HasPrefix(c.Call, "clone3(") && strings.Contains(c.Call, "CLONE_PARENT") && !failed(c.Result) {
			return append(own, Child(calls[i+1:], newcomer(calls, i))...)
		}
	}
	return own
}

// becomes reports whether the call is an execve that succeeded.
func becomes(c Traced) bool {
	return (strings.HasPrefix(c.Call, "execve(") || strings.HasPrefix(c.Call, "execveat(")) && !failed(c.Result)
}

func failed(result string) bool { return strings.HasPrefix(result, "-1 ") || result == "" }

// newcomer is the first process seen after call i and never before that nobody else made. (The number that clone3 returned is one of
// the caller's PID namespace, which may be another than strace's; those of the host's threads are the same.)
func newcomer(calls []Traced, i int) int {
	known := map[int]bool{}
	for _, c := range calls[:i+1] {
		known[c.Pid] = true
	}
	for j, c := range calls {
		name, _, _ := strings.Cut(c.Call, "(")
		if n, err := strconv.Atoi(c.Result); err == nil && j != i && (name == "clone" || name == "clone3" || name == "vfork") {
			known[n] = true
		}
	}
	for _, c := range calls[i+1:] {
		if !known[c.Pid] {
			return c.Pid
		}
	}
	return 0
}
