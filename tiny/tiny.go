// Package tiny is the userland of the built-in image `tiny`: a shell and the commands that lessons use, in one program that
// runs as the applet its argv[0] names. Formats, messages and exit codes are busybox's.
//
// An applet is a real process with a C program's signal dispositions, because lessons look at ps, /proc and kill. To stay
// within a container of a few megabytes it keeps its heap small, and this package has no init functions and no package-level tables.
package tiny

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"glassbox/tiny/shell"
	"glassbox/tiny/signals"
)

// applet is one command. Its usage is the line after its name.
type applet struct {
	name  string
	run   func(*call) int
	usage string
}

// applets is a function, not a variable: nothing is set up in a process that is not an applet.
func applets() []applet {
	return slices.Concat(fileApplets(), textApplets(), systemApplets(), processApplets(), networkApplets(), shellApplets())
}

func shellApplets() []applet {
	return []applet{
		{"[", test, "EXPRESSION ]"},
		{"ash", sh, "[-aceCfilmnsuvx] [-o OPTION] [SCRIPT | -c COMMAND [NAME]] [ARG]..."},
		{"echo", echo, "[-neE] [WORD]..."},
		{"false", func(*call) int { return 1 }, ""},
		{"printf", printf, "FORMAT [ARG]..."},
		{"sh", sh, "[-aceCfilmnsuvx] [-o OPTION] [SCRIPT | -c COMMAND [NAME]] [ARG]..."},
		{"test", test, "EXPRESSION"},
		{"tiny", list, "[APPLET [ARG]...]"},
		{"true", func(*call) int { return 0 }, ""},
	}
}

// Names are the applets, sorted: the links that the image holds.
func Names() []string {
	var names []string
	for _, a := range applets() {
		names = append(names, a.name)
	}
	slices.Sort(names)
	return names
}

// Is says whether a program name, such as os.Args[0], is an applet's.
func Is(name string) bool {
	_, ok := named(base(name))
	return ok
}

// base is the last part of a path, without the dash of a login shell.
func base(name string) string {
	return strings.TrimPrefix(name[strings.LastIndexByte(name, '/')+1:], "-")
}

func named(name string) (applet, bool) {
	for _, a := range applets() {
		if a.name == name {
			return a, true
		}
	}
	return applet{}, false
}

// Run runs the applet that name, a program name such as os.Args[0], means; ok is false when it means none. args are those after
// the name. The caller exits with code: signal dispositions and the heap's settings are an applet's from here on.
func Run(name string, args []string) (code int, ok bool) {
	word := base(name)
	if word == "tiny" && len(args) > 0 {
		if _, ok := named(base(args[0])); ok {
			name, word, args = args[0], base(args[0]), args[1:]
		}
	}
	a, ok := named(word)
	if !ok {
		return 0, false
	}
	low := tight()
	if low {
		withoutHugePages()
	}
	runtime.GOMAXPROCS(1) // no threads beside each other: pids.max counts them, and an applet has nothing to do at once
	signals.Reset()
	debug.SetGCPercent(25)
	if low {
		debug.FreeOSMemory()
	}
	c := &call{name: a.name, usage: a.usage, args: args, in: os.Stdin, out: bufio.NewWriter(os.Stdout), err: os.Stderr}
	if word == "sh" || word == "ash" {
		c.name = name
	}
	code = a.run(c)
	if err := c.out.Flush(); err != nil && code == 0 {
		c.errorf("write error: %s", reason(err))
		code = 1
	}
	return code, true
}

// tight says whether the container's limit of memory is so low that the half megabyte of garbage counts that the program's
// packages leave when they are set up. Elsewhere the two milliseconds it takes to give it back are worth more.
func tight() bool {
	limit, err := strconv.ParseInt(readLine("/sys/fs/cgroup/memory.max"), 10, 64) // "max" without a limit
	return err == nil && limit < 16<<20
}

// withoutHugePages executes this program once more with a heap of small pages: where huge ones are always used, the first alone is
// 2 MiB. prctl(2) says that the setting outlives execve and is inherited, so it happens once in a container. Where the program
// is not found under its name, or anything else is unusual, all stays as it is.
func withoutHugePages() {
	if off, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0); err != nil || off != 0 {
		return
	}
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return
	}
	named, err1 := os.Stat(path)
	own, err2 := os.Stat("/proc/self/exe")
	if err1 != nil || err2 != nil || !os.SameFile(named, own) || unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) != nil {
		return
	}
	_ = syscall.Exec(path, os.Args, os.Environ()) // when it fails, we are as before
}

func sh(c *call) int {
	if len(c.args) == 1 && c.args[0] == "--help" {
		return c.help()
	}
	return shell.Main(c.name, c.args, builtins())
}

// builtins are the applets that the shell runs inside itself.
func builtins() map[string]shell.Builtin {
	inside := map[string]shell.Builtin{}
	for _, a := range []applet{
		{"[", test, ""}, {"test", test, ""}, {"echo", echo, ""}, {"printf", printf, ""}, {"kill", kill, ""},
		{"true", func(*call) int { return 0 }, ""}, {"false", func(*call) int { return 1 }, ""},
	} {
		inside[a.name] = func(args []string, out, err io.Writer) int {
			c := &call{name: a.name, args: args, out: bufio.NewWriter(out), err: err}
			code := a.run(c)
			if err := c.out.Flush(); err != nil {
				c.errorf("write error: %s", reason(err))
				code = 1
			}
			return code
		}
	}
	return inside
}

func test(c *call) int { return shell.Test(c.name, c.args, c.err) }

// list is `tiny` itself: it names the applets.
func list(c *call) int {
	if len(c.args) > 1 || len(c.args) > 0 && c.args[0] != "--list" && c.args[0] != "--help" {
		c.errorf("%s: applet not found", c.args[0])
		return 127
	}
	if len(c.args) > 0 && c.args[0] == "--list" {
		c.print(strings.Join(Names(), "\n"), "\n")
		return 0
	}
	c.print("tiny: the commands of glassbox's built-in image\n\nUsage: tiny [APPLET [ARG]...]\n   or: APPLET [ARG]...\n\nApplets:\n\t")
	column := 8
	for i, name := range Names() {
		if i > 0 {
			c.print(", ")
		}
		if column += len(name) + 2; column > 78 {
			c.print("\n\t")
			column = 8 + len(name) + 2
		}
		c.print(name)
	}
	c.print("\n")
	return 0
}
