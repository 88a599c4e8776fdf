package tiny

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// grepping is a grep under way.
type grepping struct {
	*call
	o             *options
	re            *regexp.Regexp
	named         bool // lines are prefixed by their file's name
	before, after int
	most          int64
	found         bool
	troubled      bool
	colored       bool
}

func grep(c *call) int {
	o, ok := c.options("ivnrRcqEFGolLhHswxm:A:B:C:e:f:", "ignore-case=i", "invert-match=v", "line-number=n", "recursive=r", "count=c",
		"quiet=q", "extended-regexp=E", "fixed-strings=F", "only-matching=o", "files-with-matches=l", "word-regexp=w", "regexp=e", "color=K?", "colour=K?",
		"max-count=m", "no-messages=s")
	if !ok {
		return 2
	}
	colored, ok := c.colored(o)
	if !ok {
		return 2
	}
	var patterns []string
	for _, text := range o.values('e') {
		patterns = append(patterns, strings.Split(text, "\n")...)
	}
	for _, name := range o.values('f') {
		data, err := os.ReadFile(name)
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
			return 2
		}
		patterns = append(patterns, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")...)
	}
	if !o.has('e') && !o.has('f') {
		if len(o.rest) == 0 {
			c.misused("")
			return 2
		}
		patterns = strings.Split(o.rest[0], "\n")
		o.rest = o.rest[1:]
	}
	g := &grepping{call: c, o: o, most: o.number('m', -1), colored: colored}
	g.before, g.after = int(o.number('B', o.number('C', 0))), int(o.number('A', o.number('C', 0)))
	if o.failed {
		return 2
	}
	var err error
	if g.re, err = g.compile(patterns); err != nil {
		c.errorf("bad regex '%s': %v", strings.Join(patterns, "\n"), err)
		return 2
	}
	recursive := o.has('r') || o.has('R')
	if recursive && len(o.rest) == 0 {
		o.rest = []string{"."}
	}
	g.named = (len(o.rest) > 1 || recursive || o.has('H')) && !o.has('h')
	if len(o.rest) == 0 {
		g.search("(standard input)", c.in)
	}
	for _, name := range o.rest {
		g.file(name, recursive)
		if g.found && o.has('q') {
			return 0
		}
	}
	switch {
	case g.troubled:
		return 2
	case g.found:
		return 0
	}
	return 1
}

func (g *grepping) compile(patterns []string) (*regexp.Regexp, error) {
	for i, p := range patterns {
		kind := g.o.last("EFG")
		switch {
		case kind == 'F' || kind == 0 && g.name == "fgrep":
			p = regexp.QuoteMeta(p)
		case kind == 'E' || kind == 0 && g.name == "egrep":
			p = extended(p)
		default:
			p = basic(p)
		}
		if g.o.has('x') {
			p = "^(?:" + p + ")$"
		} else if g.o.has('w') {
			p = `(?:^|\b)(?:` + p + `)(?:$|\b)`
		}
		patterns[i] = "(?:" + p + ")"
	}
	flags := ""
	if g.o.has('i') {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + strings.Join(patterns, "|"))
	if err == nil {
		re.Longest()
	}
	return re, err
}

func (g *grepping) file(name string, recursive bool) {
	if name == "-" {
		g.search("(standard input)", g.in)
		return
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		if !recursive {
			if !g.o.has('s') {
				g.errorf("%s: Is a directory", name)
			}
			g.troubled = true
			return
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			g.trouble(name, err)
		}
		for _, entry := range entries {
			if entry.Type()&os.ModeSymlink == 0 || g.o.has('R') {
				g.file(strings.TrimSuffix(name, "/")+"/"+entry.Name(), true)
			}
		}
		return
	}
	f, err := os.Open(name)
	if err != nil {
		g.trouble(name, err)
		return
	}
	g.search(name, f)
	f.Close()
}

func (g *grepping) trouble(name string, err error) {
	if !g.o.has('s') {
		g.errorf("%s: %s", name, reason(err))
	}
	g.troubled = true
}

func (g *grepping) search(name string, r io.Reader) {
	count, number, shown := int64(0), 0, 0
	var held []string // lines that may become context
	trailing := 0
	invert, quiet := g.o.has('v'), g.o.has('q') || g.o.has('c') || g.o.has('l') || g.o.has('L')
	context := g.before > 0 || g.after > 0
	lines(r, func(line []byte, _ bool) bool {
		number++
		if g.re.Match(line) == invert {
			if trailing > 0 && !quiet {
				g.show(name, number, '-', string(line))
				shown = number
				trailing--
			} else if g.before > 0 && !quiet {
				if held = append(held, string(line)); len(held) > g.before {
					held = held[1:]
				}
			}
			return g.most < 0 || count < g.most || trailing > 0
		}
		count++
		g.found = true
		if !quiet {
			if context && shown > 0 && number-len(held) > shown+1 {
				g.print("--\n")
			}
			for i, text := range held {
				g.show(name, number-len(held)+i, '-', text)
			}
			held = nil
			g.hit(name, number, line, invert)
			shown, trailing = number, g.after
		}
		if g.o.has('q') || g.o.has('l') || g.o.has('L') {
			return false
		}
		return g.most < 0 || count < g.most || trailing > 0
	})
	switch {
	case g.o.has('q'):
	case g.o.has('l'):
		if count > 0 {
			g.print(name, "\n")
		}
	case g.o.has('L'):
		if count == 0 {
			g.print(name, "\n")
		}
	case g.o.has('c'):
		if g.named {
			g.print(name, ":")
		}
		g.printf("%d\n", count)
	}
}

func (g *grepping) hit(name string, number int, line []byte, invert bool) {
	only := g.o.has('o')
	if !only && (invert || !g.colored) {
		g.show(name, number, ':', string(line))
		return
	}
	if invert {
		return
	}
	text, end := "", 0
	for _, at := range g.re.FindAllIndex(line, -1) {
		if at[0] == at[1] {
			continue
		}
		match := string(line[at[0]:at[1]])
		if g.colored {
			match = "\x1b[01;31m" + match + "\x1b[m"
		}
		if only {
			g.show(name, number, ':', match)
		}
		text += string(line[end:at[0]]) + match
		end = at[1]
	}
	if !only {
		g.show(name, number, ':', text+string(line[end:]))
	}
}

// colored reads --color[=WHEN], K in the options of ls and grep.
func (c *call) colored(o *options) (on, ok bool) {
	switch when := o.value('K', "never"); when {
	case "never", "none", "no":
		return false, true
	case "always", "yes", "force":
		return true, true
	case "auto", "", "tty", "if-tty":
		return isTerminal(1), true
	default:
		c.misused("invalid argument '%s' for '--color'", when)
		return false, false
	}
}

func (g *grepping) show(name string, number int, mark byte, text string) {
	if g.named {
		fmt.Fprintf(g.out, "%s%c", name, mark)
	}
	if g.o.has('n') {
		fmt.Fprintf(g.out, "%d%c", number, mark)
	}
	g.print(text, "\n")
}
