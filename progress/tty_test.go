package progress

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
)

// glass is as much of a terminal as tty needs: lines, and a cursor that goes up and to the left.
type glass struct {
	width, height int
	lines         []string
	row           int
}

var pieces = regexp.MustCompile("\033\\[[0-9;?]*[A-Za-z]|\r|\n|[^\033\r\n]+")

func (g *glass) Write(p []byte) (int, error) {
	for _, s := range pieces.FindAllString(string(p), -1) {
		for g.row >= len(g.lines) {
			g.lines = append(g.lines, "")
		}
		switch {
		case strings.HasPrefix(s, "\033[") && strings.HasSuffix(s, "A"):
			n, err := strconv.Atoi(s[2 : len(s)-1])
			if err != nil || n > g.row || n >= g.height {
				return 0, fmt.Errorf("%q from row %d of %d", s, g.row, g.height)
			}
			g.row -= n
		case s == "\033[J":
			g.lines = g.lines[:g.row+1]
			g.lines[g.row] = ""
		case s == "\n":
			g.row++
		case s[0] >= ' ':
			if runewidth.StringWidth(s) >= g.width {
				return 0, fmt.Errorf("%q fills the line", s)
			}
			g.lines[g.row] = s
		}
	}
	return len(p), nil
}

func (g *glass) text() string {
	var b strings.Builder
	for _, l := range g.lines {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	return regexp.MustCompile(`\d+\.\ds`).ReplaceAllString(strings.TrimRight(b.String(), "\n")+"\n", "0.0s")
}

func draw(t *testing.T, width, height int) (*glass, *board, *tty) {
	g := &glass{width: width, height: height}
	view := &tty{out: g, began: time.Now(), screens: map[*vertex]*screen{}, size: func() (int, int) { return width, height }}
	b := newBoard(view)
	t.Cleanup(func() {
		if view.err != nil {
			t.Error(view.err)
		}
	})
	return g, b, view
}

func run(b *board, stage, inside int, text string) Work {
	return b.Begin(Task{Kind: Instruction, Text: text, Inside: inside, Of: 9, Stage: stage, Many: true})
}

func (g *glass) shows(t *testing.T, b *board, want string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.view.refresh()
	expect(t, "the terminal", g.text(), want)
}

// Two stages go on at once; each shows what it wrote last; the end shows all.
func TestTTY(t *testing.T) {
	g, b, _ := draw(t, 60, 20)
	i := b.Begin(Task{Kind: Definition, Text: "Dockerfile"})
	i.Status("", 325, 0)
	i.End(nil)
	one, two := run(b, 0, 2, "RUN one"), run(b, 1, 2, "RUN two "+strings.Repeat("and so on ", 20))
	for n := range 9 {
		fmt.Fprintf(one.Stdout(), "\033[1mline\033[0m %d\n", n)
	}
	fmt.Fprint(two.Stdout(), "10%\r20%\r30%")
	g.shows(t, b, `[+] Building 0.0s (1/3)                    glassbox:default
 => [internal] load build definition from Dockerfile   0.0s
 => => transferring dockerfile:                   325B 0.0s
 => [stage-0 2/9] RUN one                              0.0s
 => => # line 3
 => => # line 4
 => => # line 5
 => => # line 6
 => => # line 7
 => => # line 8
 => [stage-1 2/9] RUN two and so on and so on and so o 0.0s
 => => # 30%
`)
	one.End(nil)
	two.Cached()
	two.End(nil)
	export := b.Begin(Task{Kind: Export})
	export.Made(made)
	export.Tagged("docker.io/library/t1:latest")
	export.End(nil)
	if err := b.Close(Result{}, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "at the end", g.text(), `[+] Building 0.0s (4/4) FINISHED           glassbox:default
 => [internal] load build definition from Dockerfile   0.0s
 => => transferring dockerfile:                   325B 0.0s
 => [stage-0 2/9] RUN one                              0.0s
 => CACHED [stage-1 2/9] RUN two and so on and so on a 0.0s
 => exporting to image                                 0.0s
 => => exporting layers                                0.0s
 => => writing image sha256:`+made.Encoded()[:26]+` 0.0s
 => => naming to docker.io/library/t1                  0.0s
`)
}

// On a low terminal what is done gives way to what goes on, and output to both.
func TestTTYLow(t *testing.T) {
	g, b, _ := draw(t, 40, 6)
	for n := range 20 {
		run(b, 0, n%9, "RUN done").End(nil)
	}
	going := run(b, 1, 1, "RUN going")
	fmt.Fprintln(going.Stdout(), "talks")
	for n := range 2 {
		run(b, 0, n%9, "RUN more").End(nil)
	}
	g.shows(t, b, `[+] Building 0.0s (22/23)
 => [stage-0 1/9] RUN done         0.0s
 => [stage-1 1/9] RUN going        0.0s
 => [stage-0 0/9] RUN more         0.0s
 => [stage-0 1/9] RUN more         0.0s
`)
	b.Close(Result{}, nil)
	if n := strings.Count(g.text(), "RUN done"); n != 20 {
		t.Errorf("%d lines of what was done at the end", n)
	}
}

func TestTTYFailure(t *testing.T) {
	g, b, _ := draw(t, 50, 20)
	bad, other := run(b, 0, 1, "RUN false"), run(b, 1, 1, "RUN other")
	fmt.Fprint(bad.Stderr(), "no\nend")
	bad.End(errors.New("broken"))
	_ = other // given up
	if err := b.Close(Result{}, errors.New("broken")); err.Error() != "failed to build: failed to solve: broken" {
		t.Error(err)
	}
	expect(t, "the terminal", times.ReplaceAllString(g.text(), "${1}T${2}"), `[+] Building T (2/2) FINISHED glassbox:default
 => ERROR [stage-0 1/9] RUN false            T
 => CANCELED [stage-1 1/9] RUN other         T
------
 > [stage-0 1/9] RUN false:
T no
T end
------
`)
}

// What others have to say stands above the drawing.
func TestTTYBeside(t *testing.T) {
	g, b, _ := draw(t, 40, 20)
	w := Beside(b, nil)
	fmt.Fprintln(w, "early")
	run(b, 0, 1, "RUN one").End(nil)
	g.shows(t, b, "early\n[+] Building 0.0s (1/1)\n => [stage-0 1/9] RUN one          0.0s\n")
	fmt.Fprintln(w, "late")
	g.shows(t, b, "early\nlate\n[+] Building 0.0s (1/1)\n => [stage-0 1/9] RUN one          0.0s\n")
	b.Close(Result{}, nil)
	var plain bytes.Buffer
	if Beside(newClassic(&plain), &plain) != &plain {
		t.Error("a line among classic ones has another place")
	}
}

// A real terminal says how wide it is; what is none is refused.
func TestTTYSize(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 31, Cols: 117}); err != nil {
		t.Fatal(err)
	}
	if w, h := newTTY(slave).size(); w != 117 || h != 31 {
		t.Errorf("%d columns, %d rows", w, h)
	}
	if _, err := New("tty", slave, new(bytes.Buffer)); err == nil {
		t.Error("drawn into a buffer")
	}
	for _, mode := range []string{"auto", "tty"} {
		w, err := New(mode, new(bytes.Buffer), slave)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := w.(*board).view.(*tty); !is {
			t.Errorf("%s: %T", mode, w.(*board).view)
		}
		w.Close(Result{}, nil)
	}
}

func TestScreen(t *testing.T) {
	for written, want := range map[string]string{
		"a\nb":                              "a|b",
		"10%\r20%\r\n":                      "20%",
		"longer\rab":                        "ab",
		"abc\b\bd":                          "ad",
		"\033[1;31mred\033[0m":              "red",
		"\033]0;title\atext":                "text",
		"\033]8;;http://x\033\\link\033(B.": "link.",
		"a\tb":                              "a       b",
		"\n\n \nx":                          "x",
		"1\n2\n3\n4\n5\n6\n7\n8":            "3|4|5|6|7|8",
		"\xff\xfe":                          "?",
		"\x00\x07bell":                      "bell",
	} {
		for _, by := range []int{1, len(written)} { // sequences are cut anywhere
			s := &screen{}
			for i := 0; i < len(written); i += by {
				s.write([]byte(written[i:min(i+by, len(written))]), 0)
			}
			if got := strings.Join(s.last(), "|"); got != want {
				t.Errorf("%q: %q, want %q", written, got, want)
			}
		}
	}
	s := &screen{}
	for range 100 {
		s.write(bytes.Repeat([]byte("x"), 10_000), time.Second)
	}
	if n := len(s.whole()); n > keptOutput+longestLine {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestColors(t *testing.T) {
	t.Setenv("BUILDKIT_COLORS", "run=light-green:error=1,2,3:cancel=nothing")
	t.Setenv("NO_COLOR", "")
	c := environmentColors()
	if c.done != "\033[92m" || c.failed != "\033[38;2;1;2;3m" || c.canceled != "\033[33m" {
		t.Errorf("%q", c)
	}
	t.Setenv("NO_COLOR", "1")
	if c := environmentColors(); c != (colors{}) {
		t.Errorf("%q", c)
	}
}
