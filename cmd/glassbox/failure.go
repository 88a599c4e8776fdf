package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"glassbox/engine"
	"glassbox/image"
)

// failure is an error on its way to the user: one line for glassbox, Docker's own text when called as docker, and the
// exit code.
type failure struct {
	cause  error
	line   string // glassbox: LINE
	docker string // what docker prints, all of it
	code   int
	stdout bool   // Docker prints it there
	fix    string // what the hint says when no card knows better
}

func (f *failure) Error() string { return f.line }
func (f *failure) Unwrap() error { return f.cause }

// exitStatus ends the program with the container's own exit code and without a word.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// exited is nil for 0.
func exited(code int) error {
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

// flagFailure is a flag that does not parse: 125 for every command.
func flagFailure(path, usage string, err error) error {
	return &failure{
		cause: err, line: err.Error(), code: 125, fix: path + " --help",
		docker: fmt.Sprintf("%s\n\nUsage:  %s\n\nRun '%s --help' for more information", err, usage, path),
	}
}

// arityFailure is a wrong number of arguments: 1, also for run.
func arityFailure(path, usage, wants, verb string) error {
	line := fmt.Sprintf("'%s' %s", path, wants)
	return &failure{
		line: line, code: 1, fix: usage,
		docker: fmt.Sprintf("docker: %s\n\nUsage:  %s\n\n%s '%s --help' for more information", line, usage, verb, path),
	}
}

// unknownCommand is a word where a command is expected.
func unknownCommand(path, usage, word, suggestion string) error {
	line := fmt.Sprintf("unknown command: %s %s", path, word)
	docker := fmt.Sprintf("docker: %s\n\nRun '%s --help' for more information", line, path)
	if usage != "" {
		docker = fmt.Sprintf("docker: %s\n\nUsage:  %s\n\nRun '%s --help' for more information", line, usage, path)
	}
	fix := path + " --help"
	if suggestion != "" {
		fix = path + " " + suggestion
	}
	return &failure{line: line, docker: docker, code: 1, fix: fix}
}

// plainFailure is the command line's own complaint, which Docker prints as it is.
func plainFailure(format string, a ...any) error {
	err := fmt.Errorf(format, a...)
	return &failure{cause: errors.Unwrap(err), line: strings.TrimPrefix(err.Error(), "Error: "), docker: err.Error(), code: 1}
}

// engineFailure is what dockerd would have answered.
func engineFailure(err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &failure{cause: err, line: err.Error(), docker: "Error response from daemon: " + err.Error(), code: 1}
}

// badRequest is a run or create whose flags contradict each other or this build: nothing was tried.
func badRequest(command string, err error) error {
	docker := err.Error()
	var known *failure
	if errors.As(err, &known) {
		docker = known.docker
	}
	return &failure{
		cause: err, line: err.Error(), code: 125, fix: "glassbox " + command + " --help",
		docker: fmt.Sprintf("docker: %s\n\nRun 'docker %s --help' for more information", docker, command),
	}
}

// runFailure is a container that could not be created or started. Docker reads the exit code off the text: what was
// not found first, then what was not permitted, and 125 for the rest.
func runFailure(err error) error {
	text := err.Error()
	code := 125
	var known *engine.Error
	switch {
	case strings.Contains(text, "Are you trying to mount a directory onto a file"):
	case errors.As(err, &known) && (known.Exit == 126 || known.Exit == 127):
		code = known.Exit
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		code = 127
	case strings.Contains(text, syscall.EACCES.Error()), strings.Contains(text, syscall.EISDIR.Error()):
		code = 126
	}
	var f *failure
	errors.As(engineFailure(err), &f)
	return &failure{
		cause: err, line: ownWords(text), code: code,
		docker: fmt.Sprintf("docker: %s\n\nRun 'docker run --help' for more information", f.docker),
	}
}

// ownWords leaves out the shim and the runc that Docker's errors tell of: here there is neither.
func ownWords(text string) string {
	if i := strings.Index(text, startedHow); i >= 0 && strings.Contains(text[:i], "OCI runtime") {
		text = text[i:]
	}
	return strings.TrimSuffix(text, ": unknown")
}

const startedHow = "unable to start container process: "

// execFailure is a command that could not be started in a container. dockerd sends the text where the command's output
// would have gone.
func execFailure(err error) error {
	f := runFailure(err).(*failure)
	if !strings.Contains(err.Error(), "OCI runtime exec failed") {
		return engineFailure(err)
	}
	return &failure{cause: err, line: f.line, docker: err.Error(), code: f.code, stdout: true}
}

// isNotFound says whether err means that no such container or image exists.
func isNotFound(err error) bool {
	var image *image.NotFound
	return engine.Is(err, engine.NotFound) || errors.As(err, &image)
}

// report prints err as the user expects it and returns the exit code. Several errors joined are printed one by one.
func (s *session) report(err error) int {
	if err == nil || errors.Is(err, errCancelled) {
		return 0
	}
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	code := 1
	for _, e := range separate(err) {
		code = s.reportOne(e)
	}
	return code
}

func separate(err error) []error {
	if joined, is := err.(interface{ Unwrap() []error }); is {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, separate(e)...)
		}
		return all
	}
	return []error{err}
}

func (s *session) reportOne(err error) int {
	if errors.Is(err, context.Canceled) {
		return 1 // run makes it 128 + the signal
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{cause: err, line: err.Error(), docker: err.Error(), code: 1}
	}
	switch {
	case s.isDocker() && f.stdout:
		fmt.Fprintln(s.stdout, f.docker)
		return f.code
	case s.isDocker():
		fmt.Fprintln(s.stderr, f.docker)
		return f.code
	}
	fmt.Fprintf(s.stderr, "%s: %s\n", s.name, oneLine(f.line))
	if s.explains() {
		s.hint(f)
	}
	return f.code
}

// oneLine is the house rule: an error is one line, whatever it quotes; a list's items follow its colon.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "* ")
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// hint prints the lines below an error: the card that knows the cause, or at least the next command.
func (s *session) hint(f *failure) { cardFor(f).print(s.stderr) }
