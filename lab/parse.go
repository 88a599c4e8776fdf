package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// Bounds of a lesson's file. They are far above what lessons need, and keep a damaged or hostile file from costing anything.
const (
	mostBytes     = 256 << 10
	mostPart      = 64 << 10
	mostTasks     = 40
	mostSeconds   = 600
	mostName      = 60
	defaultBound  = 30 * time.Second
	lessonsSuffix = ".txtar"
)

// Parse reads a lesson. It names everything that is wrong, with its line; a lesson with problems is not to be played.
func Parse(file string, data []byte) (*Lesson, []Problem) {
	sum := sha256.Sum256(data)
	p := &parser{file: file, lesson: &Lesson{
		ID: strings.TrimSuffix(filepath.Base(file), lessonsSuffix), File: file, Digest: hex.EncodeToString(sum[:]), Bound: defaultBound,
	}}
	p.name()
	switch {
	case len(data) > mostBytes:
		p.complain(0, "it has %d bytes; %d is the most", len(data), mostBytes)
	case !utf8.Valid(data):
		p.complain(0, "it is not UTF-8 text")
	case bytes.ContainsAny(data, "\r\x00"):
		p.complain(1+bytes.Count(data[:bytes.IndexAny(data, "\r\x00")], []byte("\n")), "lines end with a newline alone, and there are no NUL bytes")
	default:
		p.archive(txtar.Parse(data))
	}
	return p.lesson, p.problems
}

type parser struct {
	file     string
	lesson   *Lesson
	problems []Problem
	parts    map[string]part
}

type part struct {
	text string
	line int // where its text begins
}

func (p *parser) complain(line int, format string, a ...any) {
	p.problems = append(p.problems, Problem{p.file, line, fmt.Sprintf(format, a...)})
}

func (p *parser) name() {
	if id := p.lesson.ID; !isName(id) || !strings.HasSuffix(p.file, lessonsSuffix) {
		p.complain(0, "a lesson's file is called NAME.txtar; NAME has lower-case letters, digits and dashes, %d at most", mostName)
	}
}

func isName(id string) bool {
	return id != "" && id[0] != '-' && len(id) <= mostName &&
		strings.IndexFunc(id, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) < 0
}

func (p *parser) archive(a *txtar.Archive) {
	p.fields(string(a.Comment))
	p.parts = map[string]part{}
	line := 1 + bytes.Count(a.Comment, []byte("\n"))
	for _, f := range a.Files {
		switch first, twice := p.parts[f.Name]; {
		case twice:
			p.complain(line, "part %s stands here a second time (the first: line %d)", f.Name, first.line-1)
		case !p.known(f.Name):
			p.complain(line, "unknown part %q: %s", f.Name, knownParts)
		case len(f.Data) > mostPart:
			p.complain(line, "part %s has %d bytes; %d is the most", f.Name, len(f.Data), mostPart)
		case len(bytes.TrimSpace(f.Data)) == 0:
			p.complain(line, "part %s is empty", f.Name)
			fallthrough
		default:
			p.parts[f.Name] = part{strings.Trim(string(f.Data), "\n"), line + 1}
		}
		line += 1 + bytes.Count(f.Data, []byte("\n"))
	}
	l := p.lesson
	l.Why, l.Explanation = p.needed("why"), p.needed("explanation")
	l.Setup, l.Reset = p.parts["setup.sh"].text, p.parts["reset.sh"].text
	p.tasks()
}

const knownParts = "there are why, setup.sh, task/N, check/N, hint/N, explanation, solution/N, wrong/N, wrong/N.undo, wrong/N.says, wrong/N.hint, reset.sh"

// ofTask are the kinds of parts that each task has; the optional ones end the list.
var ofTask = []string{"task/%d", "check/%d", "hint/%d", "solution/%d", "wrong/%d", "wrong/%d.says", "wrong/%d.undo", "wrong/%d.hint"}

const neededOfTask = 6

func (p *parser) known(name string) bool {
	if slices.Contains([]string{"why", "setup.sh", "explanation", "reset.sh"}, name) {
		return true
	}
	n := taskOf(name)
	return n > 0 && slices.ContainsFunc(ofTask, func(format string) bool { return fmt.Sprintf(format, n) == name })
}

// taskOf is the task that a part belongs to, or 0.
func taskOf(name string) int {
	_, number, _ := strings.Cut(name, "/")
	number, _, _ = strings.Cut(number, ".")
	n, _ := strconv.Atoi(number)
	return n
}

func (p *parser) needed(name string) string {
	found, is := p.parts[name]
	if !is {
		p.complain(0, "there is no part %s", name)
	}
	return found.text
}

// tasks collects them: numbers begin with 1 and have no gap, and each has all that a task needs.
func (p *parser) tasks() {
	last, where := 0, ""
	for name := range p.parts {
		if n := taskOf(name); n > last || n == last && name < where {
			last, where = n, name
		}
	}
	switch {
	case last == 0:
		p.complain(0, "there is no task/1")
	case last > mostTasks:
		p.complain(p.parts[where].line-1, "task %d: %d is the most", last, mostTasks)
		return
	}
	for n := 1; n <= last; n++ {
		p.task(n)
	}
}

func (p *parser) task(n int) {
	var texts [8]string
	var line int
	var lacking []string
	for i, format := range ofTask {
		name := fmt.Sprintf(format, n)
		found, is := p.parts[name]
		switch {
		case is && (line == 0 || found.line <= line):
			line = found.line - 1
		case !is && i < neededOfTask:
			lacking = append(lacking, name)
		}
		texts[i] = found.text
	}
	switch {
	case len(lacking) == neededOfTask:
		p.complain(line, "tasks are numbered without a gap, and there is nothing of task %d", n)
	case len(lacking) > 0:
		p.complain(line, "task %d lacks %s", n, strings.Join(lacking, ", "))
	}
	t := Task{Text: texts[0], Check: texts[1], Solution: texts[3], Wrong: Attempt{Script: texts[4], Says: strings.TrimSpace(texts[5]), Undo: texts[6], Hint: strings.TrimSpace(texts[7])}}
	t.Hints = p.hints(fmt.Sprintf("hint/%d", n))
	p.lesson.Tasks = append(p.lesson.Tasks, t)
}

// hints are the paragraphs of a part.
func (p *parser) hints(name string) (hints []Hint) {
	line := p.parts[name].line
	for paragraph := range strings.SplitSeq(p.parts[name].text, "\n\n") {
		h := Hint{Text: strings.TrimRight(strings.Trim(paragraph, "\n"), " \t\n")} // a line that begins with a blank is shown as it is
		if rest, is := strings.CutPrefix(h.Text, "when "); is && strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			text, isColon := strings.CutPrefix(strings.TrimPrefix(rest, quoted), ":")
			if h.When, _ = strconv.Unquote(quoted); err != nil || !isColon || h.When == "" {
				p.complain(line, `a conditional hint begins with when "TEXT":`)
			}
			h.Text = strings.TrimSpace(text)
		}
		if h.Text == "" && p.parts[name].text != "" {
			p.complain(line, "a hint of %s is empty", name)
		}
		line += 2 + strings.Count(paragraph, "\n")
		hints = append(hints, h)
	}
	return hints
}

// fields reads what stands before the first part.
func (p *parser) fields(text string) {
	seen := map[string]bool{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, is := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !is || strings.ContainsAny(name, " \t"):
			p.complain(number, "a field is NAME: VALUE, and parts begin with -- NAME --: %q", clipped(line))
			continue
		case seen[name] && name != "uses":
			p.complain(number, "field %s stands here a second time", name)
			continue
		case value == "":
			p.complain(number, "field %s is empty", name)
			continue
		}
		seen[name] = true
		p.field(number, name, value)
	}
	for _, name := range []string{"title", "order", "minutes"} {
		if !seen[name] {
			p.complain(0, "there is no field %s", name)
		}
	}
}

func (p *parser) field(line int, name, value string) {
	l := p.lesson
	switch name {
	case "title":
		l.Title = value
	case "order":
		l.Order = p.number(line, name, value, 9999)
	case "minutes":
		l.Minutes = p.number(line, name, value, 600)
	case "seconds":
		l.Bound = time.Duration(p.number(line, name, value, mostSeconds)) * time.Second
	case "needs":
		l.Needs = strings.Fields(value)
	case "uses":
		for word := range strings.FieldsSeq(value) {
			o, err := parseObject(word)
			if err != nil {
				p.complain(line, "%v", err)
			}
			l.Uses = append(l.Uses, o)
		}
	default:
		p.complain(line, "unknown field %q: there are title, order, minutes, needs, uses, seconds", clipped(name))
	}
}

func (p *parser) number(line int, name, value string, most int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		p.complain(line, "%s is a number from 1 to %d, not %q", name, most, clipped(value))
		return 1
	}
	return n
}

// parseObject reads KIND:NAME.
func parseObject(word string) (Object, error) {
	kind, name, _ := strings.Cut(word, ":")
	o := Object{kind, name}
	switch removable, known := o.removable(); {
	case !known:
		return o, fmt.Errorf("unknown kind of object in uses: %q: there are cgroup, container, file, image, link, mount, netns, network, table, volume", clipped(word))
	case !removable:
		return o, fmt.Errorf("uses: %q is no name of a %s that reset would dare to remove", clipped(word), kind)
	}
	return o, nil
}

// removable says whether an object's name may be removed. What reset removes is removed by root: nothing that a machine itself has can be
// named.
func (o Object) removable() (yes, known bool) {
	n := o.Name
	switch o.Kind {
	case "container", "network", "volume", "netns":
		return isWord(n), true
	case "image":
		return isWord(strings.NewReplacer(":", "_", "/", "_").Replace(n)), true
	case "link":
		return isWord(n) && n != "lo" && len(n) <= 15, true
	case "cgroup":
		return isBelow("/"+n, 1) && !strings.Contains(n, "glassbox"), true
	case "mount", "file":
		return isBelow(n, 2), true
	case "table":
		family, name, _ := strings.Cut(n, ",")
		return slices.Contains([]string{"ip", "ip6", "inet", "bridge", "arp", "netdev"}, family) && isWord(name) && name != "glassbox", true
	}
	return false, false
}

func isWord(n string) bool {
	return n != "" && n[0] != '-' && n[0] != '.' && strings.IndexFunc(n, func(r rune) bool {
		return !strings.ContainsRune("_.-", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}

// isBelow says whether an absolute, clean path has at least so many components.
func isBelow(path string, components int) bool {
	return strings.HasPrefix(path, "/") && filepath.Clean(path) == path && strings.Count(path, "/") >= components && len(path) > 1 &&
		strings.IndexFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}

func clipped(text string) string {
	if len(text) > 60 {
		return text[:60] + "..."
	}
	return text
}
