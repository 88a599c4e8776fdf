package progress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
)

// exit is what a RUN that failed gives.
type exit struct{}

func (exit) Error() string { return "The command '/bin/sh -c false' returned a non-zero code: 1" }
func (exit) BuildKit() string {
	return `process "/bin/sh -c false" did not complete successfully: exit code: 1`
}

var times = regexp.MustCompile(`(?m)( |^)\d+\.\d+s?( |$)`)

// still is text without its times.
func still(text string) string { return times.ReplaceAllString(text, "${1}T${2}") }

const dockerfile = "FROM bb\nWORKDIR /x\nRUN false\n"

// internal tells of what comes before the first instruction.
func internal(w Watcher) {
	d := w.Begin(Task{Kind: Definition, Text: "Dockerfile", Source: []byte(dockerfile)})
	d.Status("", 325, 0)
	d.End(nil)
	w.Begin(Task{Kind: Metadata, Text: "docker.io/library/bb:latest"}).End(nil)
	i := w.Begin(Task{Kind: Ignore})
	i.Status("", 2, 0)
	i.End(nil)
}

const internalPlain = `#0 building with "default" instance using glassbox driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 325B done
#1 DONE T

#2 [internal] load metadata for docker.io/library/bb:latest
#2 DONE T

#3 [internal] load .dockerignore
#3 transferring context: 2B done
#3 DONE T

`

// What buildx 0.29.1 prints of Docker 28.5.2, but for the instance's driver.
func TestPlain(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "plain", io.Discard, &out)
	internal(w)
	w.Begin(Task{Kind: Instruction, Text: "from bb AS one", Long: "from docker.io/library/bb:latest", Inside: 1, Of: 11, Name: "one", Many: true}).End(nil)
	c := w.Begin(Task{Kind: Context})
	c.Status("", 1991234, 0)
	c.End(nil)
	run := w.Begin(Task{Kind: Instruction, Text: "RUN echo hello", Inside: 2, Of: 11, Name: "one", Many: true})
	fmt.Fprint(run.Stdout(), "hello\nwor")
	fmt.Fprint(run.Stderr(), "ld\nend")
	run.End(nil)
	w.Begin(Task{Kind: Instruction, Text: "ENV a=b", Many: true}).End(nil)
	cached := w.Begin(Task{Kind: Instruction, Text: "COPY . .", Inside: 1, Of: 1, Stage: 1, Many: true})
	cached.Cached()
	cached.End(nil)
	export := w.Begin(Task{Kind: Export})
	export.Made(digest.FromString("x"))
	export.Tagged("docker.io/library/t1:latest")
	export.End(nil)
	if err := w.Close(Result{Image: made, Warnings: []string{"[Warning] of all"}}, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "plain", still(out.String()), internalPlain+`#4 [one  1/11] FROM docker.io/library/bb:latest
#4 DONE T

#5 [internal] load build context
#5 transferring context: 1.99MB done
#5 DONE T

#6 [one  2/11] RUN echo hello
#6 T hello
#6 T world
#6 T end
#6 DONE T

#7 [stage-1 1/1] COPY . .
#7 CACHED

#8 exporting to image
#8 exporting layers done
#8 writing image `+digest.FromString("x").String()+` done
#8 naming to docker.io/library/t1 done
#8 DONE T

[Warning] of all
`)
}

func TestPlainFailure(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "plain", io.Discard, &out)
	internal(w)
	run := w.Begin(Task{Kind: Instruction, Text: "RUN false", Inside: 3, Of: 3})
	for i := range lastLines + 2 {
		fmt.Fprintf(run.Stdout(), "line %d\n", i)
	}
	beside := w.Begin(Task{Kind: Instruction, Text: "RUN sleep 9", Inside: 1, Of: 1, Stage: 1, Many: true})
	err := parser.WithLocation(exit{}, []parser.Range{{Start: parser.Position{Line: 3}}})
	run.End(err)
	beside.End(fmt.Errorf("RUN: %w", context.Canceled))
	closed := w.Close(Result{}, err)
	expect(t, "error", closed.Error(), `failed to build: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1`)
	if !errors.As(closed, new(exit)) {
		t.Error("the error's cause is lost")
	}
	var lines, last string
	for i := range lastLines + 2 {
		lines += fmt.Sprintf("#4 T line %d\n", i)
		if i >= 2 {
			last += fmt.Sprintf("T line %d\n", i)
		}
	}
	expect(t, "plain", still(out.String()), internalPlain+"#4 [3/3] RUN false\n"+lines+
		`#4 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1

#5 [stage-1 1/1] RUN sleep 9
#5 CANCELED
------
 > [3/3] RUN false:
`+last+`------
Dockerfile:3
--------------------
   1 |     FROM bb
   2 |     WORKDIR /x
   3 | >>> RUN false
   4 |     
--------------------
`)
}

func TestSilent(t *testing.T) {
	for _, failure := range []error{nil, parser.WithLocation(exit{}, []parser.Range{{Start: parser.Position{Line: 3}}})} {
		var out, err bytes.Buffer
		w := watcher(t, "silent", &out, &err)
		internal(w)
		closed := w.Close(Result{Image: made}, failure)
		if failure == nil {
			expect(t, "out", out.String()+err.String(), made.String()+"\n")
			continue
		}
		expect(t, "out", out.String(), "")
		expect(t, "err", err.String(), "Dockerfile:3\n--------------------\n   1 |     FROM bb\n   2 |     WORKDIR /x\n   3 | >>> RUN false\n   4 |     \n--------------------\n")
		expect(t, "error", closed.Error(), "failed to build: failed to solve: "+exit{}.BuildKit())
	}
}

// Two stages at once: one is open, the other shown when it is done, and the first opened again. What waits is complete however much.
func TestPlainBeside(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "plain", io.Discard, &out)
	one := w.Begin(Task{Kind: Instruction, Text: "RUN one", Inside: 1, Of: 1, Stage: 0, Many: true})
	fmt.Fprintln(one.Stdout(), "a")
	time.Sleep(2 * refreshEvery)
	two := w.Begin(Task{Kind: Instruction, Text: "RUN two", Inside: 1, Of: 1, Stage: 1, Many: true})
	line := strings.Repeat("x", 999)
	for range 1000 {
		fmt.Fprintln(two.Stdout(), line)
	}
	two.End(nil)
	time.Sleep(2 * refreshEvery)
	fmt.Fprintln(one.Stdout(), "b")
	one.End(nil)
	if err := w.Close(Result{}, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "plain", still(out.String()), `#0 building with "default" instance using glassbox driver

#1 [stage-0 1/1] RUN one
#1 T a
#1 ...

#2 [stage-1 1/1] RUN two
`+strings.Repeat("#2 T "+line+"\n", 1000)+`#2 DONE T

#1 [stage-0 1/1] RUN one
#1 T b
#1 DONE T
`)
}

// A base that two stages share is one piece of work.
func TestSharedBase(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "plain", io.Discard, &out)
	from := func(stage int) Work {
		return w.Begin(Task{Kind: Instruction, Text: "FROM bb", Inside: 1, Of: 2, Stage: stage, Many: true})
	}
	a, b := from(0), from(1)
	a.End(nil)
	time.Sleep(2 * refreshEvery)
	b.End(nil)
	from(2).End(nil)
	w.Close(Result{}, nil)
	expect(t, "plain", still(out.String()), "#0 building with \"default\" instance using glassbox driver\n\n#1 [stage-0 1/2] FROM bb\n#1 DONE T\n")
}

// A pull tells what it fetches; its lines would say the same once more.
func TestPlainPull(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "plain", io.Discard, &out)
	from := w.Begin(Task{Kind: Instruction, Text: "FROM bb", Inside: 1, Of: 1})
	pull := from.Out().(interface{ Tell(jsonmessage.JSONMessage) })
	layer := func(status string, current, total int64) {
		pull.Tell(jsonmessage.JSONMessage{ID: "0123456789ab", Status: status, Progress: &jsonmessage.JSONProgress{Current: current, Total: total}})
	}
	pull.Tell(jsonmessage.JSONMessage{ID: "latest", Status: "Pulling from library/bb"})
	pull.Tell(jsonmessage.JSONMessage{ID: "ba9876543210", Status: "Already exists"})
	layer("Pulling fs layer", 0, 0)
	layer("Downloading", 1000, 4000)
	layer("Downloading", 3000, 4000)
	layer("Download complete", 0, 0)
	layer("Extracting", 0, 0)
	layer("Pull complete", 0, 0)
	from.End(nil)
	w.Close(Result{}, nil)
	expect(t, "plain", still(out.String()), `#0 building with "default" instance using glassbox driver

#1 [1/1] FROM bb
#1 ba9876543210 done
#1 0123456789ab 4.00kB / 4.00kB done
#1 extracting 0123456789ab done
#1 DONE T
`)
}

func TestPlainOutputLost(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w := watcher(t, "plain", io.Discard, full)
	internal(w)
	if err := w.Close(Result{Image: made}, nil); err == nil {
		t.Error("no error")
	}
}

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 999: "999B", 1000: "1.00kB", 3642247: "3.64MB", 12345678901: "12.35GB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
