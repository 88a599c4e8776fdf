package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"unicode/utf8"
)

// widest is how many columns a line may have that learners see as it is.
const widest = 100

// Lint names all that is wrong with a lesson's file, also what playing it would show only later.
func Lint(file string, data []byte) (*Lesson, []Problem) {
	l, problems := Parse(file, data)
	if len(problems) > 0 {
		return l, problems
	}
	k := &linter{lesson: l, text: string(data)}
	for _, s := range l.scripts() {
		k.syntax(s.part, s.text)
	}
	for i, t := range l.Tasks {
		k.task(i+1, t)
	}
	k.width("why", l.Why)
	k.width("explanation", l.Explanation)
	return l, k.problems
}

// LintOrders names lessons that claim the same place in the list.
func LintOrders(lessons []*Lesson) (problems []Problem) {
	first := map[int]*Lesson{}
	for _, l := range lessons {
		if other := first[l.Order]; other != nil && l.Order != 0 {
			problems = append(problems, Problem{File: l.File, Text: fmt.Sprintf("order %d is that of %s too", l.Order, other.File)})
		} else {
			first[l.Order] = l
		}
	}
	return problems
}

type linter struct {
	lesson   *Lesson
	text     string
	problems []Problem
}

// at is the line where a part begins.
func (k *linter) at(part string) int {
	before, _, _ := strings.Cut("\n"+k.text, "\n-- "+part+" --\n")
	return 1 + strings.Count(before, "\n")
}

func (k *linter) complain(line int, format string, a ...any) {
	k.problems = append(k.problems, Problem{k.lesson.File, line, fmt.Sprintf(format, a...)})
}

// script is a part that sh(1) runs.
type script struct{ part, text string }

func (l *Lesson) scripts() []script {
	all := []script{{"setup.sh", l.Setup}, {"reset.sh", l.Reset}}
	for i, t := range l.Tasks {
		n := strconv.Itoa(i + 1)
		all = append(all, script{"check/" + n, t.Check}, script{"solution/" + n, t.Solution}, script{"wrong/" + n, t.Wrong.Script}, script{"wrong/" + n + ".undo", t.Wrong.Undo})
	}
	return all
}

// syntax has sh(1) read a script without running it.
func (k *linter) syntax(part, text string) {
	if text == "" {
		return
	}
	c := exec.Command("sh", "-n")
	c.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		k.complain(k.at(part), "%s: sh -n: %s", part, flat(out.String()+" "+err.Error()))
	}
}

func (k *linter) task(n int, t Task) {
	hint, check := fmt.Sprintf("hint/%d", n), fmt.Sprintf("check/%d", n)
	k.width(fmt.Sprintf("task/%d", n), t.Text)
	if !strings.Contains(t.Check, "missing") {
		k.complain(k.at(check), "%s never calls missing: it cannot say what is missing", check)
	}
	always := false
	found := t.Wrong.Hint == ""
	for _, h := range t.Hints {
		k.width(hint, h.Text)
		always = always || h.When == ""
		found = found || strings.Contains(flat(h.Text), flat(t.Wrong.Hint))
		if begin := beginning(h.When); !strings.Contains(t.Check, begin) && !strings.Contains(prelude(), begin) {
			k.complain(k.at(hint), "%s: when %q: %s never says %q", hint, h.When, check, begin)
		}
	}
	if !always {
		k.complain(k.at(hint), "%s: there is no hint without a condition", hint)
	}
	if !found {
		k.complain(k.at(fmt.Sprintf("wrong/%d.hint", n)), "wrong/%d.hint: no hint of task %d says %q", n, n, t.Wrong.Hint)
	}
}

// beginning is the first two words: a script says the rest perhaps by way of a variable.
func beginning(text string) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(2, len(words))], " ")
}

// width looks at lines that are shown as they are: those that begin with a blank.
func (k *linter) width(part, text string) {
	at := k.at(part)
	for i, line := range strings.Split(text, "\n") {
		if n := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "        ")); verbatim(line) && n > widest-2 {
			k.complain(at+1+i, "%s: a line of %d columns, which is shown as it is; %d is the most", part, n, widest-2)
		}
	}
}

// verbatim says whether a line of a text is shown as it is, rather than as part of a paragraph.
func verbatim(line string) bool { return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") }

// flat is text with its line breaks and indentation as single blanks, which is how paragraphs compare.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }
