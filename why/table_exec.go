package why

import (
	"fmt"
	"os"
	"strings"

	"glassbox/binfmt"

	"golang.org/x/sys/unix"
)

// execErrors follow fs/exec.c and fs/binfmt_*.c.
var execErrors = []Known{
	{
		Errno: unix.ENOENT, Calls: []string{"execve", "exec", "execveat"}, Objects: "FILE|CONTAINER:FILE", Manual: "execve(2)",
		Causes: []Cause{
			{
				Name: "missing file", Why: "no file of that name is there; a name without a slash is looked for in the directories of PATH", Check: "ls -l FILE", Fix: "correct the name, or install the program", Learn: "first-container", refusal: binfmt.Missing,
			},
			{
				Name: "CRLF", Why: "the #! line ends in CR LF, as on Windows, so the interpreter's name ends in a CR, and no such file is there", Check: "head -1 FILE | od -c", Fix: "sed -i 's/\\r$//' FILE; git: *.sh text eol=lf in .gitattributes", Learn: "first-container", refusal: binfmt.CRLF,
			},
			{
				Name: "missing interpreter", Why: "a script is run by the program that its #! line names; when that is missing, execve says ENOENT as if the script were", Check: "head -1 FILE", Fix: "name one that is there (#!/bin/sh), or install it", Learn: "first-container", refusal: binfmt.Interpreter,
			},
			{
				Name: "missing loader", Why: "a dynamic ELF program is started by the loader that it names (PT_INTERP); glibc's is missing in musl images, and the other way round", Check: "readelf -l FILE | grep interpreter", Fix: "build it statically (CGO_ENABLED=0, or -static), or take a base image with that C library", Learn: "first-container", refusal: binfmt.Loader,
			},
		},
	},
	{
		Errno: unix.EACCES, Calls: []string{"execve", "exec", "execveat"}, Objects: "FILE|CONTAINER:FILE", Manual: "execve(2)",
		Causes: []Cause{
			{
				Name: "not executable", Why: "without an x in its mode nobody executes a file, root neither", Check: "ls -l FILE", Fix: "chmod +x FILE (in a Dockerfile: COPY --chmod=755)", Learn: "first-container", refusal: binfmt.Mode,
			},
			{
				Name: "noexec mount", Why: "nothing is executed from a mount with the option noexec; Docker's --tmpfs has it unless one says exec", Check: "findmnt -T FILE", Fix: "--tmpfs /tmp:exec, or put the program elsewhere", Learn: "volumes", refusal: binfmt.NoExec,
			},
			{
				Name: "not a regular file", Why: "execve runs regular files: a directory is none", Check: "stat -c %F FILE", Fix: "name a program", Learn: "first-container", refusal: binfmt.NotRegular,
			},
			{
				Name: "no way through", Why: "every directory of the path must be searchable (x) by the process's user", Check: "namei -l FILE", Fix: "chmod +x the directory, or another user (-u)", Learn: "volumes", test: func(p *probe) verdict { return p.blockedPath(p.object(0)) },
			},
			execModule,
		},
	},
	{
		Errno: unix.ENOEXEC, Calls: []string{"execve", "exec", "execveat"}, Objects: "FILE|CONTAINER:FILE", Manual: "execve(2), elf(5)",
		Causes: []Cause{
			{
				Name: "wrong architecture", Why: "an ELF file says for which machine it is, and the kernel runs its own; others need an emulator (binfmt_misc)", Check: "file FILE; uname -m", Fix: "take the image for this machine: --platform", Learn: "first-container", refusal: binfmt.Architecture,
			},
			{
				Name: "no known format", Why: "the file begins neither with an ELF header nor with #!; a shell would have run it as a script, execve does not", Check: "head -c 20 FILE | od -c", Fix: "put #!/bin/sh on its first line", Learn: "first-container", refusal: binfmt.Format,
			},
			{Name: "empty file", Why: "an empty file has no format", Check: "ls -l FILE", Fix: "put the program in; look whether the COPY that made it has failed", Learn: "first-container", refusal: binfmt.Empty},
			{Name: "#! without a name", Why: "behind #! stands the interpreter's path, on the same line", Check: "head -1 FILE | od -c", Fix: "#!/bin/sh", Learn: "first-container", refusal: binfmt.NoName},
		},
	},
	{
		Errno: unix.ETXTBSY, Calls: []string{"execve", "exec", "open"}, Objects: "FILE", Manual: "execve(2)",
		Causes: []Cause{{
			Name: "open for writing", Why: "a program that somebody has open for writing is not executed, and one that runs is not opened for writing", Check: "fuser -v FILE", Fix: "write a new file and rename it over the old one", Learn: "first-container", test: textBusy,
		}},
	},
	{
		Errno: unix.E2BIG, Calls: []string{"execve", "exec"}, Manual: "execve(2)",
		Causes: []Cause{{
			Name: "arguments too long", Why: "arguments and environment together may take a quarter of RLIMIT_STACK, at most 6 MiB, and no single one more than 128 KiB", Check: "env | wc -c; getconf ARG_MAX", Fix: "find ... -exec COMMAND {} +, or xargs, which call it several times; a file instead of an argument; ulimit -s 65536", Learn: "first-container", test: bigEnvironment,
		}},
	},
}

// refused tests for one of the reasons that package binfmt finds.
func refused(p *probe, kind string) verdict {
	name := p.object(0)
	if name == "" {
		return unknown("name the file: FILE, or CONTAINER:FILE")
	}
	r, err := binfmt.Examine(p.open, name)
	switch {
	case err != nil:
		return unknown("%v", err)
	case r == nil:
		return no("%s: nothing stands in the way of executing it", name)
	case r.Kind != kind:
		return verdict{No, r.Evidence}
	}
	if kind == binfmt.Missing {
		return verdict{Yes, r.Evidence}
	}
	return verdict{Yes, append(r.Evidence, r.Why)}
}

// blockedPath looks for the first directory that this process may not pass.
func (p *probe) blockedPath(path string) verdict {
	if !p.self() {
		return p.elsewhere()
	}
	if !strings.HasPrefix(path, "/") {
		return unknown("name the whole path")
	}
	for i, c := range path {
		if c != '/' || i == 0 {
			continue
		}
		if err := unix.Access(path[:i], unix.X_OK); err == unix.EACCES {
			info, _ := os.Stat(path[:i])
			if info == nil {
				return yes("%s may not be searched", path[:i])
			}
			return yes("mode of %s: %s, and it may not be searched by this process", path[:i], info.Mode())
		}
	}
	return no("every directory of %s may be searched by this process", path)
}

func textBusy(p *probe) verdict {
	var want unix.Stat_t
	if p.object(0) == "" {
		return unknown("name the file: why ETXTBSY execve FILE")
	}
	if err := unix.Stat(p.object(0), &want); err != nil {
		return unknown("%s: %v", p.object(0), err)
	}
	var found []string
	for _, pid := range pids() {
		dir := "/proc/" + itoa(pid)
		var s unix.Stat_t
		if unix.Stat(dir+"/exe", &s) == nil && s.Ino == want.Ino && s.Dev == want.Dev {
			found = append(found, named(pid)+" runs it")
			continue
		}
		for _, d := range opened(dir) {
			fd := strings.Replace(d.path, "/fdinfo/", "/fd/", 1)
			if unix.Stat(fd, &s) == nil && s.Ino == want.Ino && s.Dev == want.Dev && d.writes() {
				found = append(found, named(pid)+" has it open for writing")
				break
			}
		}
	}
	return when(len(found) > 0, "%s: %s", p.object(0), orUnused(found))
}

// bigEnvironment follows fs/exec.c: MAX_ARG_STRLEN is 32 pages, and bprm_stack_limits gives all together a quarter of the stack's limit. The
// arguments of the call that failed are not to be seen any more; the environment is this process's, which commands hand on.
func bigEnvironment(p *probe) verdict {
	size, biggest, name := 0, 0, ""
	for _, e := range p.environment() {
		size += len(e) + 1
		if len(e)+1 > biggest {
			biggest = len(e) + 1
			name, _, _ = strings.Cut(e, "=")
		}
	}
	stack, unlimited, known := p.limit("Max stack size")
	if !known {
		return unknown("%s could not be read", p.proc("limits"))
	}
	room, single := 6<<20, 32*os.Getpagesize()
	if !unlimited {
		room = min(room, max(int(min(stack, 1<<40)/4), 128<<10))
	}
	line := fmt.Sprintf("the environment has %d bytes, %s alone %d; all together may have %d, one alone %d", size, orElse(name, "nothing"), biggest, room, single)
	if size < room && biggest < single {
		return unknown("%s: what the arguments have had is gone with the call", line)
	}
	return yes("%s", line)
}

// environment is what the process would hand on; of another one, what it has begun with.
func (p *probe) environment() []string {
	if p.self() {
		return os.Environ()
	}
	text, err := read(p.proc("environ"))
	if err != nil {
		return nil
	}
	return strings.Split(text, "\x00")
}
