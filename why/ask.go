package why

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"glassbox/binfmt"
	"glassbox/engine"

	"golang.org/x/sys/unix"
)

// Question is an error that a call was answered with, and on what it was made.
type Question struct {
	Errno   unix.Errno
	Call    string
	Objects []string
	// In is who makes the call: a process's number, or a container, whose first process it is; empty: this process.
	In string
	// Container finds the one that In, or an object as in web:/app/run.sh, names; may be nil.
	Container func(ref string) (*engine.Evidence, error)
}

// NotKnown is an error and a call that nothing is known of together.
type NotKnown struct {
	Question
	Nearest []Pair
}

func (e *NotKnown) Error() string {
	var near []string
	for _, p := range e.Nearest {
		near = append(near, p.Errno+" "+p.Calls[0])
	}
	text := fmt.Sprintf("nothing is known of %s from %s", meaning(e.Errno).Name, e.Call)
	if near != nil {
		text += "; the nearest that are: " + strings.Join(near, ", ")
	}
	return text
}

// Ask tests the causes.
func Ask(q Question) (*Answer, error) {
	call := plain(q.Call)
	if call == "mount" && len(q.Objects) > 0 && slices.Contains([]string{"proc", "sysfs", "overlay"}, q.Objects[0]) && find(q.Errno, q.Objects[0]) != nil {
		call, q.Objects = q.Objects[0], q.Objects[1:] // why EPERM mount proc
	}
	p := &probe{pid: "self", open: binfmt.Host, call: call, runs: slices.Contains([]string{"execve", "exec", "execveat"}, call)}
	k := find(q.Errno, call)
	if k == nil {
		return nil, &NotKnown{q, nearest(q.Errno, call)}
	}
	if strings.HasPrefix(q.Call, "/") { // a file, in a place
		p.objects = append(p.objects, q.Call)
	}
	p.objects = append(p.objects, q.Objects...)
	if len(p.objects) > 0 && p.objects[0] == "mount" { // why EPERM proc mount
		p.objects = p.objects[1:]
	}
	if err := p.enter(q.Container); err != nil {
		return nil, err
	}
	if q.In != "" {
		if err := p.move(q.In, q.Container); err != nil {
			return nil, err
		}
	}
	a := k.ask(p, call)
	if k.tried != nil && p.self() {
		a.Tried = k.tried(p)
	}
	return a, nil
}

// move makes another process the one that makes the call. Paths are those that it sees.
func (p *probe) move(in string, find func(ref string) (*engine.Evidence, error)) error {
	p.pid = in
	if _, err := strconv.Atoi(in); err != nil || !there("/proc/"+in) {
		e, err := find(in)
		if err != nil {
			return err
		}
		if e.State.Pid == 0 {
			return &engine.Error{Class: engine.Conflict, Text: "container " + e.Name + " is not running: there is no process in it that could make a call"}
		}
		p.pid, p.open = itoa(e.State.Pid), e.Open
	}
	p.objects = slices.Clone(p.objects)
	for i, o := range p.objects {
		if strings.HasPrefix(o, "/") && !p.runs {
			p.objects[i] = p.proc("root") + o
		}
	}
	return nil
}

// enter takes CONTAINER:FILE apart: the file is looked for in the container then. A file of that very name on this machine comes first.
func (p *probe) enter(find func(ref string) (*engine.Evidence, error)) error {
	if len(p.objects) == 0 || find == nil {
		return nil
	}
	ref, name, is := strings.Cut(p.objects[0], ":")
	if _, err := os.Lstat(p.objects[0]); !is || err == nil || ref == "" || strings.Contains(ref, "/") || !strings.HasPrefix(name, "/") {
		return nil
	}
	e, err := find(ref)
	if err != nil {
		return err
	}
	p.objects = slices.Clone(p.objects)
	p.objects[0], p.open = name, e.Open
	p.pid = "none" // of a container that does not run
	if e.State.Pid != 0 {
		p.pid = itoa(e.State.Pid)
	}
	return nil
}
