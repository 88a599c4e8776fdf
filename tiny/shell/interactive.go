package shell

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"

	"glassbox/tiny/line"
	"glassbox/tiny/signals"
)

// interact reads commands from a terminal until Ctrl-D or exit.
func (s *Shell) interact(login bool) int {
	s.interactive = true
	s.options['i'] = true
	s.traps.shared.listen()
	deafen()
	s.hearInterrupt()
	s.takeControl()
	s.profiles(login, true)
	next := s.reader()
	warned := false
	for s.flow != exiting {
		s.flow, s.levels = running, 0
		s.interrupted.Store(false)
		s.announce()
		s.pending()
		source, err := s.compound(next)
		switch {
		case errors.Is(err, line.ErrInterrupted):
			s.status = 130
		case err != nil:
			if s.stoppedJobs() && !warned {
				fmt.Fprintln(s.stderr(), "You have stopped jobs.")
				warned = true
				continue
			}
			return s.finish()
		default:
			warned = false
			if s.options['v'] {
				io.WriteString(s.stderr(), source+"\n")
			}
			s.evaluate(source, s.name)
			if s.interrupted.Load() {
				io.WriteString(s.stderr(), "\n")
				s.status = 130
			}
		}
	}
	return s.finish()
}

func (s *Shell) stoppedJobs() bool {
	return slices.ContainsFunc(s.jobs.list, func(j *job) bool { return !j.ended() && j.stopped() })
}

func (s *Shell) profile(path string) {
	text, err := os.ReadFile(path)
	if err == nil {
		s.stream(strings.NewReader(string(text)), path)
	}
}

// jobControlled is set -m and set +m.
func (s *Shell) jobControlled(on bool) {
	switch {
	case on && !s.control:
		for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
			signals.Deafen(sig)
		}
		if s.takeControl(); !s.control && !isTerminal(0) {
			s.errorf("can't access tty; job control turned off")
		}
	case !on:
		s.control = false
	}
	s.options['m'] = s.control
}

// takeControl makes the shell the terminal's foreground group and turns job control on, when it has a controlling terminal.
func (s *Shell) takeControl() {
	fd, err := high(0)
	if err != nil {
		return
	}
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	signals.Default(unix.SIGTTIN)
	for ; err == nil && group != unix.Getpgrp() && group != 0; group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP) {
		unix.Kill(0, unix.SIGTTIN) // started in the background: wait there, as every shell does
	}
	signals.Deafen(unix.SIGTTIN)
	if err != nil {
		unix.Close(fd)
		if isTerminal(0) {
			s.errorf("can't access tty; job control turned off")
		}
		return
	}
	unix.Setpgid(0, 0) // fails for a session leader, which leads its group already
	s.jobs.group = unix.Getpgrp()
	s.terminal, s.control = fd, true
	s.options['m'] = true
	unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, s.jobs.group)
	s.sane, _ = unix.IoctlGetTermios(fd, unix.TCGETS)
}

// reader gives lines: from the editor on a terminal, plainly otherwise.
func (s *Shell) reader() func(prompt string) (string, error) {
	if !isTerminal(0) {
		return func(prompt string) (string, error) {
			io.WriteString(s.stderr(), prompt)
			text, code := s.readLine(0, plainLine())
			if code != 0 && text == "" {
				if code > 128 {
					return "", line.ErrInterrupted
				}
				return "", io.EOF
			}
			return text, nil
		}
	}
	out := 2
	if isTerminal(1) {
		out = 1
	}
	editor := &line.Editor{
		In: 0, Out: out, Complete: s.complete,
		Event: func() int {
			if s.traps.shared.any.Load() {
				return s.traps.shared.event
			}
			s.traps.shared.drain()
			return s.traps.shared.event
		},
		OnEvent: func() bool {
			s.traps.shared.drain()
			s.pending()
			return s.flow == exiting
		},
	}
	return func(prompt string) (string, error) {
		editor.History = s.past
		return editor.Read(prompt)
	}
}

func plainLine() lineWanted { return lineWanted{raw: true, delimiter: '\n'} }

// compound reads lines until they are a whole command.
func (s *Shell) compound(next func(string) (string, error)) (string, error) {
	var source strings.Builder
	end := "" // the delimiter of a here-document that is being typed
	prompt := s.prompt()
	for {
		text, err := next(prompt)
		if err != nil {
			if errors.Is(err, io.EOF) && source.Len() > 0 {
				s.errorf("syntax error: unexpected end of file")
				s.status = 2
				return "", nil
			}
			return "", err
		}
		source.WriteString(text)
		if end != "" && strings.TrimLeft(text, "\t") != end {
			source.WriteByte('\n') // inside a here-document: parsing it anew for each line would take for ever
			continue
		}
		end = ""
		_, err = parse(strings.NewReader(source.String()+"\n"), "sh")
		continued := strings.HasSuffix(text, `\`) && !strings.HasSuffix(text, `\\`)
		if continued || err != nil && (syntax.IsIncomplete(err) || unclosed(err) != "") {
			source.WriteByte('\n')
			prompt, end = s.secondPrompt(), unclosed(err)
			continue
		}
		s.remember(source.String())
		return source.String(), nil
	}
}

// unclosed is the delimiter that the parser misses, or "".
func unclosed(err error) string {
	var incomplete syntax.ParseError
	if err == nil || !errors.As(err, &incomplete) {
		return ""
	}
	_, end, _ := strings.Cut(incomplete.Text, "here-document `")
	if end == "" {
		_, end, _ = strings.Cut(incomplete.Text, "here-document '")
	}
	return strings.TrimRight(end, "'`")
}

func (s *Shell) secondPrompt() string {
	if vr := s.vars["PS2"]; vr.Set {
		return vr.Str
	}
	return "> "
}

const mostHistory = 500

func (s *Shell) remember(source string) {
	source = strings.TrimSpace(strings.ReplaceAll(source, "\\\n", ""))
	source = strings.ReplaceAll(source, "\n", "; ")
	if source == "" || len(source) > 1<<16 || len(s.past) > 0 && s.past[len(s.past)-1] == source {
		return
	}
	if s.past = append(s.past, source); len(s.past) > mostHistory {
		s.past = s.past[1:]
	}
}

func (s *Shell) history(args []string) int {
	if len(args) > 0 {
		s.errorf("history: unexpected argument %s", args[0])
		return 2
	}
	for i, text := range s.past {
		fmt.Fprintf(s.stdout(), "%4d %s\n", i, text)
	}
	return 0
}

// prompt expands PS1: \w \W \u \h \$ and the rest of the letters that images set it with.
func (s *Shell) prompt() string {
	form := `\w \$ `
	if vr := s.vars["PS1"]; vr.Set {
		form = vr.Str
	}
	dir := s.dir
	if home := s.value("HOME"); len(home) > 1 && (dir == home || strings.HasPrefix(dir, home+"/")) {
		dir = "~" + dir[len(home):]
	}
	var text strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '\\' || i+1 == len(form) {
			text.WriteByte(form[i])
			continue
		}
		i++
		switch form[i] {
		case 'w':
			text.WriteString(dir)
		case 'W':
			text.WriteString(path.Base(dir))
		case 'u':
			text.WriteString(s.user())
		case 'h', 'H':
			name, _ := os.Hostname()
			text.WriteString(name)
		case 'n':
			text.WriteByte('\n')
		case 'e':
			text.WriteByte(0x1b)
		case '[', ']':
		case '$':
			if os.Geteuid() == 0 {
				text.WriteByte('#')
			} else {
				text.WriteByte('$')
			}
		default:
			text.WriteString(form[i-1 : i+1])
		}
	}
	return text.String()
}

func (s *Shell) user() string {
	data, _ := os.ReadFile("/etc/passwd")
	for entry := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Split(entry, ":"); len(f) > 2 && f[2] == itoa(os.Getuid()) {
			return f[0]
		}
	}
	return itoa(os.Getuid())
}

// complete offers commands for the first word of a command, names of variables after $, and files.
func (s *Shell) complete(text string) (start int, candidates []string) {
	start = strings.LastIndexAny(text, " \t;|&<>(=`'\"") + 1
	word := text[start:]
	if strings.HasPrefix(word, "$") {
		for name := range s.vars {
			if strings.HasPrefix(name, word[1:]) {
				candidates = append(candidates, "$"+name)
			}
		}
		slices.Sort(candidates)
		return start, candidates
	}
	first := strings.TrimRight(text[:start], " \t")
	command := (first == "" || strings.ContainsRune(";|&(`", rune(first[len(first)-1]))) && !strings.Contains(word, "/")
	if command {
		candidates = s.commands(word)
	} else {
		candidates = s.paths(word)
	}
	slices.Sort(candidates)
	candidates = slices.Compact(candidates)
	if len(candidates) == 1 && !strings.HasSuffix(candidates[0], "/") {
		candidates[0] += " "
	}
	return start, candidates
}

func (s *Shell) commands(prefix string) (names []string) {
	add := func(name string) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	for name := range s.aliases {
		add(name)
	}
	for name := range s.funcs {
		add(name)
	}
	for _, name := range []string{"alias", "bg", "cd", "command", "continue", "break", "eval", "exec", "exit", "export", "fg", "getopts",
		"hash", "help", "history", "jobs", "kill", "local", "pwd", "read", "readonly", "return", "set", "shift", "source", "times", "trap", "type",
		"ulimit", "umask", "unalias", "unset", "wait", "while", "until", "for", "case", "then", "else", "done"} {
		add(name)
	}
	for dir := range strings.SplitSeq(s.value("PATH"), ":") {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), prefix) && unix.Access(filepath.Join(dir, entry.Name()), unix.X_OK) == nil {
				names = append(names, entry.Name())
			}
		}
	}
	return names
}

func (s *Shell) paths(word string) (names []string) {
	dir, base := path.Split(word)
	look := dir
	if strings.HasPrefix(look, "~/") {
		look = s.value("HOME") + look[1:]
	}
	if look == "" {
		look = "."
	}
	entries, _ := os.ReadDir(look)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, base) || base == "" && strings.HasPrefix(name, ".") {
			continue
		}
		if info, err := os.Stat(look + "/" + name); err == nil && info.IsDir() {
			name += "/"
		}
		names = append(names, dir+name)
	}
	return names
}
