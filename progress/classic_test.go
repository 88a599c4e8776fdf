package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/opencontainers/go-digest"
)

var made = digest.FromString("an image")

// instruction begins a step as the builder does.
func instruction(w Watcher, n, of int, text string) Work {
	return w.Begin(Task{Kind: Instruction, Text: text, Step: n, Steps: of})
}

func watcher(t *testing.T, mode string, out, err io.Writer) Watcher {
	t.Helper()
	w, e := New(mode, out, err)
	if e != nil {
		t.Fatal(e)
	}
	return w
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// What Docker 28.5.2 prints, byte for byte (test/docker types the same).
func TestClassic(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "classic", &out, io.Discard)
	sent := w.Begin(Task{Kind: Context})
	sent.Status("", 1024, 0)
	sent.Status("", 3072, 0)
	sent.End(nil)
	from := instruction(w, 1, 3, "FROM bb")
	from.Made(made)
	from.End(nil)
	run := instruction(w, 2, 3, "RUN echo hi")
	run.Running("5388b353519e7f2d")
	fmt.Fprint(run.Stdout(), "hi\n")
	fmt.Fprint(run.Stderr(), "oh\n")
	run.Removed("5388b353519e7f2d")
	run.Made(made)
	run.End(nil)
	cached := instruction(w, 3, 3, "ENV a=b")
	cached.Cached()
	cached.Made(made)
	cached.End(nil)
	if err := w.Close(Result{Image: made, Tags: []string{"t1:latest", "t2:latest"}}, nil); err != nil {
		t.Fatal(err)
	}
	id := made.Encoded()[:12]
	expect(t, "classic", out.String(), strings.ReplaceAll(`Sending build context to Docker daemon  3.072kB`+"\r\r"+`
Step 1/3 : FROM bb
 ---> ID
Step 2/3 : RUN echo hi
 ---> Running in 5388b353519e
hi
`+"\033[91moh\n\033[0m"+` ---> Removed intermediate container 5388b353519e
 ---> ID
Step 3/3 : ENV a=b
 ---> Using cache
 ---> ID
Successfully built ID
Successfully tagged t1:latest
Successfully tagged t2:latest
`, "ID", id))
}

// Stages are built at once and shown one after the other, however much the second writes.
func TestClassicInTurn(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "classic", &out, io.Discard)
	first := instruction(w, 1, 4, "FROM a")
	second := instruction(w, 3, 4, "FROM b")
	second.Made(made)
	second.End(nil)
	loud := instruction(w, 4, 4, "RUN loud")
	line := strings.Repeat("x", 1023) + "\n"
	for range 3 * heldInMemory / len(line) {
		io.WriteString(loud.Stdout(), line)
	}
	expect(t, "while the first goes on", out.String(), "Step 1/4 : FROM a\n")
	first.End(nil)
	next := instruction(w, 2, 4, "RUN quiet")
	loud.End(nil)
	io.WriteString(next.Stdout(), "said\n")
	next.End(nil)
	if err := w.Close(Result{}, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "both", out.String(), "Step 1/4 : FROM a\nStep 2/4 : RUN quiet\nsaid\nStep 3/4 : FROM b\n ---> "+made.Encoded()[:12]+
		"\nStep 4/4 : RUN loud\n"+strings.Repeat(line, 3*heldInMemory/len(line)))
}

// A step that fails ahead of its turn is shown all the same, and none behind it.
func TestClassicFailsAhead(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		var out bytes.Buffer
		w := watcher(t, "classic", &out, io.Discard)
		first, second := instruction(w, 1, 5, "FROM a"), instruction(w, 3, 5, "FROM b")
		second.End(nil)
		fails, last := instruction(w, 4, 5, "RUN false"), instruction(w, 5, 5, "RUN last")
		io.WriteString(fails.Stdout(), "it fails\n")
		io.WriteString(last.Stdout(), "never seen\n")
		broken := errors.New("broken")
		want := "Step 1/5 : FROM a\n"
		if ahead {
			first.End(nil)
			instruction(w, 2, 5, "ENV a=b").End(nil)
			want += "Step 2/5 : ENV a=b\nStep 3/5 : FROM b\nStep 4/5 : RUN false\nit fails\n"
		} else {
			first.End(broken)
		}
		fails.End(broken)
		last.End(errors.New("cancelled"))
		if err := w.Close(Result{}, broken); err != broken {
			t.Errorf("Close: %v", err)
		}
		expect(t, "classic", out.String(), want)
	}
}

// A pull may draw on a terminal when it is its step's turn.
func TestClassicDraws(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	for out, is := range map[io.Writer]bool{slave: true, new(bytes.Buffer): false} {
		w := watcher(t, "classic", out, io.Discard)
		for n, turn := range []bool{true, false} {
			fd, drawn := instruction(w, n+1, 2, "FROM a").Out().(interface{ Terminal() (uintptr, bool) }).Terminal()
			if drawn != (is && turn) || drawn && fd != slave.Fd() {
				t.Errorf("step %d on %T: %d, %t", n+1, out, fd, drawn)
			}
		}
		w.Close(Result{}, nil)
	}
}

func TestQuiet(t *testing.T) {
	for _, failure := range []error{nil, errors.New("broken")} {
		var out, err bytes.Buffer
		w := watcher(t, "quiet", &out, &err)
		instruction(w, 1, 1, "FROM a").End(failure)
		if got := w.Close(Result{Image: made}, failure); got != failure {
			t.Errorf("Close: %v", got)
		}
		if failure == nil {
			expect(t, "out", out.String(), made.String()+"\n")
			expect(t, "err", err.String(), "")
		} else {
			expect(t, "out", out.String(), "")
			expect(t, "err", err.String(), "Step 1/1 : FROM a\n")
		}
	}
}

// Nobody is told of a full disk line by line, but a build whose output is lost does not end as if nothing were.
func TestOutputLost(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w := watcher(t, "classic", full, io.Discard)
	instruction(w, 1, 1, "FROM a").End(nil)
	if err := w.Close(Result{Image: made}, nil); err == nil {
		t.Error("no error")
	}
}
