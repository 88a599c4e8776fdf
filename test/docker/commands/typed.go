package commands

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Invocation is one call of docker in a step.
type Invocation struct {
	Usage    *Usage
	Spelling string
	Flags    []string // their long names
}

// bare are the commands whose flags end at the first argument: what follows is another program's command line.
var bare = []string{"container run", "container create", "container exec", "container top", ""}

// Invocations are the calls of docker in a command of the shell's, those within substitutions and loops included. What
// docker does not know is left out: sessions make mistakes on purpose.
func Invocations(command string, usages []*Usage) ([]Invocation, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
	if err != nil {
		return nil, err
	}
	var all []Invocation
	syntax.Walk(file, func(node syntax.Node) bool {
		if call, is := node.(*syntax.CallExpr); is {
			all = append(all, invocations(call, usages)...)
		}
		return true
	})
	return all, nil
}

// invocations also finds docker behind the words of another command, as in `timeout 3 docker events`.
func invocations(call *syntax.CallExpr, usages []*Usage) []Invocation {
	var words []string
	for _, w := range call.Args {
		words = append(words, beginning(w.Parts))
	}
	at := slices.Index(words, "docker")
	if at < 0 {
		return nil
	}
	program := find(usages, "")
	globals, rest := read(program, words[at+1:])
	all := []Invocation{}
	if len(globals) > 0 {
		all = append(all, Invocation{Usage: program, Flags: globals})
	}
	for n := min(3, len(rest)); n > 0; n-- {
		spelling := strings.Join(rest[:n], " ")
		if u := find(usages, spelling); u != nil {
			given, _ := read(u, rest[n:])
			return append(all, Invocation{Usage: u, Spelling: spelling, Flags: given})
		}
	}
	return all
}

func find(usages []*Usage, spelling string) *Usage {
	i := slices.IndexFunc(usages, func(u *Usage) bool { return slices.Contains(u.Spellings, spelling) })
	if i < 0 {
		return nil
	}
	return usages[i]
}

// beginning is a word's text as far as the shell does not make it.
func beginning(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(beginning(p.Parts))
		default:
			return b.String()
		}
	}
	return b.String()
}

// read takes the flags from words as pflag does, and returns their long names and where a bare command's arguments begin.
func read(u *Usage, words []string) (given, rest []string) {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "--":
			return given, words[i+1:]
		case strings.HasPrefix(w, "--"):
			name, _, joined := strings.Cut(w[2:], "=")
			f := u.flag(func(f Flag) bool { return f.Name == name })
			if f == nil {
				continue
			}
			given = append(given, f.Name)
			if f.Value != "" && !joined {
				i++
			}
		case len(w) > 1 && w[0] == '-':
			names, joined := u.letters(w[1:])
			given = append(given, names...)
			if !joined {
				i++
			}
		case slices.Contains(bare, u.Name()):
			return given, words[i:]
		}
	}
	return given, nil
}

// letters are the flags grouped in one word; joined says that the last one's value, if it takes one, is in the word.
func (u *Usage) letters(group string) (names []string, joined bool) {
	for i, letter := range group {
		f := u.flag(func(f Flag) bool { return f.Letter == string(letter) })
		if f == nil {
			return names, true
		}
		names = append(names, f.Name)
		if f.Value != "" {
			return names, i+1 < len(group)
		}
	}
	return names, true
}

func (u *Usage) flag(is func(Flag) bool) *Flag {
	if i := slices.IndexFunc(u.Flags, is); i >= 0 {
		return &u.Flags[i]
	}
	return nil
}
