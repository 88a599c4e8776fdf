package commands

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Usage is one of Docker's commands as its help tells of it.
type Usage struct {
	Spellings []string // "container run", "run": the first names it; "" is the program itself
	Short     string
	Flags     []Flag
	path      string
	below     []string // what a noun offers
}

// Flag is one of a command's.
type Flag struct {
	Name, Letter string
	Value        string // the kind of value that it takes; none is a switch
	Hidden       bool   // accepted, though no help tells of it
}

// Name is what the tables call a command.
func (u *Usage) Name() string { return u.Spellings[0] }

// Usages asks a binary for the help of every command it has. Commands of several spellings come once.
func Usages(binary string, env []string) ([]*Usage, error) {
	root, err := usage(binary, env, nil)
	if err != nil {
		return nil, err
	}
	all, err := descend(binary, env, root)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *Usage) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(all, func(a, b *Usage) bool { return a.Name() == b.Name() }), nil
}

func descend(binary string, env []string, u *Usage) ([]*Usage, error) {
	found := make([][]*Usage, len(u.below))
	failed := make([]error, len(u.below))
	var wait sync.WaitGroup
	for i, word := range u.below {
		wait.Go(func() {
			child, err := usage(binary, env, append(strings.Fields(u.path), word))
			if err == nil {
				found[i], err = descend(binary, env, child)
			}
			failed[i] = err
		})
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	all := slices.Concat(found...)
	if len(u.below) == 0 || u.path == "" {
		all = append(all, u)
	}
	return all, nil
}

// asking bounds how many commands are asked at once.
var asking = make(chan struct{}, 4)

func usage(binary string, env, words []string) (*Usage, error) {
	asking <- struct{}{}
	defer func() { <-asking }()
	c := exec.Command(binary, append(slices.Clone(words), "--help")...)
	c.Env = env
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s --help: %w", binary, strings.Join(words, " "), err)
	}
	return parseUsage(strings.Join(words, " "), string(text)), nil
}

var (
	offered = regexp.MustCompile(`^  ([a-z]+)\*? `)
	flagged = regexp.MustCompile(`^ +(?:-(.), )?--([a-z0-9-]+)(?: (\S+))?(?:  |$)`)
)

// parseUsage reads a help text: paragraphs, of which those with a heading matter.
func parseUsage(path, text string) *Usage {
	u := &Usage{path: path, Spellings: []string{path}}
	for i, paragraph := range strings.Split(text, "\n\n") {
		heading, body, _ := strings.Cut(strings.TrimLeft(paragraph, "\n"), "\n")
		switch {
		case i == 1:
			u.Short = heading
		case heading == "Aliases:":
			u.Spellings = nil
			for _, s := range strings.Split(strings.TrimSpace(body), ", ") {
				u.Spellings = append(u.Spellings, strings.TrimPrefix(s, "docker "))
			}
		case strings.HasSuffix(heading, "Options:"):
			u.Flags = append(u.Flags, flags(body)...)
		case strings.HasSuffix(heading, "Commands:"):
			for _, line := range strings.Split(body, "\n") {
				if m := offered.FindStringSubmatch(line); m != nil {
					u.below = append(u.below, m[1])
				}
			}
		}
	}
	return u
}

func flags(body string) (all []Flag) {
	for _, line := range strings.Split(body, "\n") {
		if m := flagged.FindStringSubmatch(line); m != nil {
			all = append(all, Flag{Letter: m[1], Name: m[2], Value: m[3]})
		}
	}
	return all
}
