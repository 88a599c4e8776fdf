package shell

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// files maps the shell's descriptor numbers to those of this process. A redirection changes only the map; a child gets the
// mapped descriptors under the shell's numbers. So a redirected builtin needs no dup and no undo.
type files []file

type file struct {
	fd    int // -1: closed
	owned bool
}

// floor keeps the process's own descriptors clear of the numbers a script uses.
const floor = 20

func inheritedFiles() files {
	table := files{{fd: 0}, {fd: 1}, {fd: 2}}
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			table[fd].fd = -1
		}
	}
	for fd := 3; fd < 10; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			table.put(fd, file{fd: fd})
		}
	}
	return table
}

func (t files) number(n int) int {
	if n < 0 || n >= len(t) {
		return -1
	}
	return t[n].fd
}

func (t *files) put(n int, f file) {
	for len(*t) <= n {
		*t = append(*t, file{fd: -1})
	}
	(*t)[n] = f
}

// borrow is a copy whose entries are the original's to close.
func (t files) borrow() files {
	c := append(files{}, t...)
	for i := range c {
		c[i].owned = false
	}
	return c
}

func (t files) release() {
	for _, f := range t {
		if f.owned {
			unix.Close(f.fd)
		}
	}
}

// keep makes the redirected table the shell's own: exec without a command.
func (t files) keep(before files) files {
	for i, f := range before {
		switch {
		case !f.owned:
		case t.number(i) == f.fd:
			t[i].owned = true
		default:
			unix.Close(f.fd)
		}
	}
	return t
}

// list gives a child its descriptors; forkexec closes those that are -1.
func (t files) list() []uintptr {
	fds := make([]uintptr, len(t))
	for i, f := range t {
		fds[i] = uintptr(f.fd)
	}
	return fds
}

func high(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, floor)
	return n, err
}

// descriptor writes straight to the kernel: a shell's output is not buffered.
type descriptor int

func (d descriptor) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(d), p[done:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(d), Events: unix.POLLOUT}}, -1)
		case err != nil:
			return done, err
		default:
			done += n
		}
	}
	return done, nil
}

// redirect applies a command's redirections, in order, to the current table.
func (s *Shell) redirect(list []*syntax.Redirect) error {
	for _, rd := range list {
		if err := s.redirectOne(rd); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shell) redirectOne(rd *syntax.Redirect) error {
	target := 1
	switch rd.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		target = 0
	}
	if rd.N != nil {
		n := 0
		for _, digit := range rd.N.Value {
			if digit < '0' || digit > '9' || n > 1000 {
				return errors.New(rd.N.Value + ": bad file descriptor number")
			}
			n = n*10 + int(digit-'0')
		}
		target = n
	}
	switch rd.Op {
	case syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		return s.document(target, rd)
	}
	word, err := expand.Literal(s.config, rd.Word)
	if err != nil {
		return err
	}
	switch rd.Op {
	case syntax.DplIn, syntax.DplOut:
		return s.duplicate(target, word, rd.Op)
	case syntax.RdrAll, syntax.AppAll:
		if err := s.open(1, word, rd.Op); err != nil {
			return err
		}
		return s.duplicate(2, "1", syntax.DplOut)
	}
	return s.open(target, word, rd.Op)
}

func (s *Shell) open(target int, path string, op syntax.RedirOperator) error {
	flags := unix.O_RDONLY
	switch op {
	case syntax.RdrOut, syntax.RdrAll, syntax.RdrClob:
		flags = unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC
		if s.options['C'] && op == syntax.RdrOut {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return errors.New("can't create " + path + ": File exists")
			}
		}
	case syntax.AppOut, syntax.AppAll:
		flags = unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND
	case syntax.RdrInOut:
		flags = unix.O_RDWR | unix.O_CREAT
	}
	var fd int
	var err error
	for {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0o666)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return refusal(path, flags, err)
	}
	return s.install(target, fd)
}

// refusal words a failing open as busybox's shell does.
func refusal(path string, flags int, err error) error {
	if flags&unix.O_CREAT == 0 {
		if err == unix.ENOENT {
			return errors.New("can't open " + path + ": no such file")
		}
		return errors.New("can't open " + path + ": " + reason(err))
	}
	if err == unix.ENOENT {
		return errors.New("can't create " + path + ": nonexistent directory")
	}
	return errors.New("can't create " + path + ": " + reason(err))
}

// install moves a fresh descriptor out of the scripts' range and puts it into the table.
func (s *Shell) install(target, fd int) error {
	n, err := high(fd)
	unix.Close(fd)
	if err != nil {
		return errors.New(reason(err))
	}
	s.replace(target, file{fd: n, owned: true})
	return nil
}

func (s *Shell) replace(target int, f file) {
	if target < len(s.files) && s.files[target].owned {
		unix.Close(s.files[target].fd)
	}
	s.files.put(target, f)
}

func (s *Shell) duplicate(target int, word string, op syntax.RedirOperator) error {
	if word == "-" {
		s.replace(target, file{fd: -1})
		return nil
	}
	n := 0
	for _, digit := range word {
		if digit < '0' || digit > '9' || n > 1000 {
			if op == syntax.DplOut && target == 1 { // >&file
				if err := s.open(1, word, syntax.RdrOut); err != nil {
					return err
				}
				return s.duplicate(2, "1", syntax.DplOut)
			}
			return errors.New("bad file descriptor: " + word)
		}
		n = n*10 + int(digit-'0')
	}
	source := s.files.number(n)
	if source < 0 {
		return errors.New(word + ": Bad file descriptor")
	}
	fd, err := high(source)
	if err != nil {
		return errors.New(word + ": " + reason(err))
	}
	s.replace(target, file{fd: fd, owned: true})
	return nil
}

// document makes a here-document readable: through a memory file, which no reader can block and no writer need feed.
func (s *Shell) document(target int, rd *syntax.Redirect) error {
	body, err := s.body(rd)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("here-document", unix.MFD_CLOEXEC)
	if err != nil {
		return errors.New("here-document: " + reason(err))
	}
	io.WriteString(descriptor(fd), body)
	unix.Seek(fd, 0, io.SeekStart)
	return s.install(target, fd)
}

func (s *Shell) body(rd *syntax.Redirect) (string, error) {
	if rd.Op == syntax.WordHdoc {
		word, err := expand.Literal(s.config, rd.Word)
		return word + "\n", err
	}
	if rd.Hdoc == nil {
		return "", nil
	}
	if rd.Op == syntax.DashHdoc {
		stripTabs(rd.Hdoc)
	}
	if quoted(rd.Word) {
		var text strings.Builder
		for _, part := range rd.Hdoc.Parts {
			if lit, ok := part.(*syntax.Lit); ok {
				text.WriteString(lit.Value)
			}
		}
		return text.String(), nil
	}
	return expand.Document(s.config, rd.Hdoc)
}

// stripTabs removes the tabs that start the lines of a <<- document, in place: doing it twice changes nothing.
func stripTabs(word *syntax.Word) {
	atStart := true
	for _, part := range word.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			atStart = false
			continue
		}
		lines := strings.Split(lit.Value, "\n")
		for i := range lines {
			if i > 0 || atStart {
				lines[i] = strings.TrimLeft(lines[i], "\t")
			}
		}
		lit.Value = strings.Join(lines, "\n")
		atStart = strings.HasSuffix(lit.Value, "\n")
	}
}

func quoted(word *syntax.Word) bool {
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.SglQuoted, *syntax.DblQuoted:
			return true
		case *syntax.Lit:
			if strings.Contains(part.Value, `\`) {
				return true
			}
		}
	}
	return false
}
