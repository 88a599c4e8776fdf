package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// file is a Dockerfile, read.
type file struct {
	stages   []instructions.Stage
	args     []*instructions.ArgCommand // those before the first FROM
	escape   rune
	warnings []string
	insecure map[*instructions.RunCommand]bool // RUN --security=insecure
}

func parse(name string, text []byte) (*file, error) {
	if len(text) == 0 {
		return nil, fmt.Errorf("the Dockerfile (%s) cannot be empty", name)
	}
	tree, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("failed to parse %s: %w", name, err)
	}
	f := &file{escape: tree.EscapeToken, insecure: map[*instructions.RunCommand]bool{}}
	for _, w := range tree.Warnings {
		f.warnings = append(f.warnings, "[WARNING]: "+w.Short)
	}
	if len(tree.Warnings) > 0 {
		f.warnings = append(f.warnings, "[WARNING]: Empty continuation lines will become errors in a future release.")
	}
	for _, n := range tree.AST.Children {
		if err := f.add(n); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// add reads an instruction as instructions.Parse does.
func (f *file) add(n *parser.Node) error {
	read, err := f.instruction(n)
	if err != nil {
		return &wrongLine{err, n.StartLine}
	}
	switch c := read.(type) {
	case *instructions.Stage:
		f.stages = append(f.stages, *c)
		return nil
	case *instructions.ArgCommand:
		if len(f.stages) == 0 {
			f.args = append(f.args, c)
			return nil
		}
	}
	stage, err := instructions.CurrentStage(f.stages)
	if err != nil {
		return parser.WithLocation(err, n.Location())
	}
	stage.AddCommand(read.(instructions.Command))
	return nil
}

// wrongLine is an instruction that cannot be read.
type wrongLine struct {
	cause error
	line  int
}

func (e *wrongLine) Error() string {
	return fmt.Sprintf("dockerfile parse error on line %d: %v", e.line, e.cause)
}
func (e *wrongLine) Unwrap() error { return e.cause }

// instruction reads one. Two flags that BuildKit's package knows only when it is compiled with tags are read here.
func (f *file) instruction(n *parser.Node) (any, error) {
	switch strings.ToLower(n.Value) {
	case command.Copy:
		parents, err := takeFlag(n, "parents", "true", "true", "false")
		if err != nil {
			return nil, err
		}
		read, err := instructions.ParseInstruction(n)
		if c, ok := read.(*instructions.CopyCommand); ok && err == nil { // beside an error it is a nil of this type
			c.Parents = parents == "true"
		}
		return read, err
	case command.Run:
		security, err := takeFlag(n, "security", "", "insecure", "sandbox")
		if err != nil {
			return nil, err
		}
		read, err := instructions.ParseInstruction(n)
		if c, ok := read.(*instructions.RunCommand); ok && err == nil && security == "insecure" {
			f.insecure[c] = true
		}
		return read, err
	}
	return instructions.ParseInstruction(n)
}

// takeFlag takes --NAME=VALUE from an instruction; bare is what --NAME alone stands for.
func takeFlag(n *parser.Node, name, bare string, allowed ...string) (value string, err error) {
	var rest []string
	for _, flag := range n.Flags {
		given, v, has := strings.Cut(flag, "=")
		if given != "--"+name {
			rest = append(rest, flag)
			continue
		}
		switch {
		case value != "":
			return "", fmt.Errorf("duplicate flag specified: --%s", name)
		case !has && bare == "":
			return "", fmt.Errorf("missing a value on flag: --%s", name)
		case !has:
			v = bare
		}
		if !slices.Contains(allowed, v) {
			if bare != "" {
				return "", fmt.Errorf("expecting boolean value for flag --%s, not: %s", name, v)
			}
			return "", fmt.Errorf("%s %q is not valid", name, v)
		}
		value = v
	}
	n.Flags = rest
	return value, nil
}

// trigger reads what an ONBUILD has left in a base image.
func (f *file) trigger(text string) (instructions.Command, error) {
	tree, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	if len(tree.AST.Children) != 1 {
		return nil, errors.New("onbuild trigger should be a single expression")
	}
	read, err := f.instruction(tree.AST.Children[0])
	if err != nil {
		return nil, err
	}
	c, ok := read.(instructions.Command)
	if !ok {
		return nil, fmt.Errorf("%T is not a command type", read)
	}
	return c, nil
}
