package why

import (
	"fmt"
	"os"
	"slices"
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
	// Container finds the one that an object names, as in web:/app/run.sh; may be nil.
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
	p := &probe{pid: "self", open: binfmt.Host}
	call := plain(q.Call)
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
	a := k.ask(p, call)
	if k.tried != nil {
		a.Tried = k.tried(p)
	}
	return a, nil
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
	return nil
}
