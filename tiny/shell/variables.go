package shell

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"

	"math/rand/v2"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

var errReadOnly = errors.New("is read only")

// variables shows the shell's variables and special parameters to the expansion.
type variables struct{ s *Shell }

func text(value string) expand.Variable {
	return expand.Variable{Set: true, Kind: expand.String, Str: value}
}

func (v variables) Get(name string) expand.Variable {
	s := v.s
	switch name {
	case "#":
		return text(itoa(len(s.params)))
	case "@", "*":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, s.params...)}
	case "?":
		return text(itoa(s.status))
	case "$":
		return text(itoa(s.pid))
	case "-":
		return text(s.options.String())
	case "0":
		return text(s.name)
	case "PPID":
		return text(itoa(os.Getppid()))
	case "BASHPID":
		return text(itoa(os.Getpid()))
	case "RANDOM":
		return text(itoa(rand.IntN(32768)))
	case "!":
		if s.last == 0 {
			return expand.Variable{}
		}
		return text(itoa(s.last))
	}
	if name != "" && name[0] >= '1' && name[0] <= '9' {
		n := 0
		for _, digit := range name {
			n = n*10 + int(digit-'0')
		}
		if n <= len(s.params) {
			return text(s.params[n-1])
		}
		return expand.Variable{}
	}
	return s.vars[name]
}

func (v variables) Set(name string, vr expand.Variable) error { return v.s.set(name, vr) }

func (v variables) Each(fn func(string, expand.Variable) bool) {
	for name, vr := range v.s.vars {
		if !fn(name, vr) {
			return
		}
	}
}

func (s *Shell) set(name string, vr expand.Variable) error {
	old := s.vars[name]
	if old.ReadOnly {
		return &nameError{name, errReadOnly}
	}
	if !vr.Set && vr.Kind == expand.Unknown && !vr.Exported && !vr.ReadOnly {
		delete(s.vars, name)
		return nil
	}
	vr.Exported = vr.Exported || old.Exported || s.options['a']
	s.vars[name] = vr
	return nil
}

type nameError struct {
	name string
	err  error
}

func (e *nameError) Error() string { return e.name + ": " + e.err.Error() }
func (e *nameError) Unwrap() error { return e.err }

// assign sets a variable, reporting what keeps it from being set.
func (s *Shell) assign(name, value string) bool {
	if err := s.set(name, text(value)); err != nil {
		s.errorf("%v", err)
		s.status = 2
		return false
	}
	return true
}

func (s *Shell) value(name string) string { return variables{s}.Get(name).String() }

// hide remembers a variable for the end of the running function; `local` then changes it freely.
func (s *Shell) hide(name string) {
	frame := s.locals[len(s.locals)-1]
	if _, twice := frame[name]; !twice {
		frame[name] = s.vars[name]
	}
}

func (s *Shell) unhide() {
	frame := s.locals[len(s.locals)-1]
	s.locals = s.locals[:len(s.locals)-1]
	for name, old := range frame {
		if old.Declared() {
			s.vars[name] = old
		} else {
			delete(s.vars, name)
		}
	}
}

// environment is what a child gets.
func (s *Shell) environment() []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(s.vars)) {
		if vr := s.vars[name]; vr.Exported && vr.Set && vr.Kind == expand.String {
			env = append(env, name+"="+vr.Str)
		}
	}
	return append(env, s.traps.environment()...)
}

// assignments makes `a=1 b=2` true, in order, and says whether all could be made.
func (s *Shell) assignments(list []*syntax.Assign, exported bool) bool {
	for _, as := range list {
		vr, err := s.assigned(as)
		if err == nil {
			vr.Exported = vr.Exported || exported
			err = s.set(as.Name.Value, vr)
		}
		if err != nil {
			s.expansionError(err)
			return false
		}
		if s.options['x'] && !exported {
			s.trace(as.Name.Value + "=" + quote(vr.String()))
		}
	}
	return true
}

func (s *Shell) assigned(as *syntax.Assign) (expand.Variable, error) {
	old := s.vars[as.Name.Value]
	if as.Array != nil {
		return s.array(as, old)
	}
	value, err := expand.Literal(s.config, as.Value)
	if err != nil {
		return old, err
	}
	if as.Index != nil {
		return s.element(as, old, value)
	}
	if as.Append {
		value = old.String() + value
	}
	return text(value), nil
}

func (s *Shell) array(as *syntax.Assign, old expand.Variable) (expand.Variable, error) {
	vr := expand.Variable{Set: true, Kind: expand.Indexed}
	if as.Append {
		vr.List = append(vr.List, old.List...)
	}
	for _, elem := range as.Array.Elems {
		fields, err := expand.Fields(s.config, elem.Value)
		if err != nil {
			return vr, err
		}
		vr.List = append(vr.List, fields...)
	}
	return vr, nil
}

func (s *Shell) element(as *syntax.Assign, old expand.Variable, value string) (expand.Variable, error) {
	n, err := expand.Arithm(s.config, as.Index)
	if err != nil || n < 0 {
		return old, errors.Join(errors.New("bad array subscript"), err)
	}
	vr := expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, old.List...)}
	for len(vr.List) <= n {
		vr.List = append(vr.List, "")
	}
	vr.List[n] = value
	return vr, nil
}

// quote writes a word as -x, export and trap show it.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, unsafe) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'"'"'`) + "'"
}

func unsafe(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+=%./:,@", r))
}
