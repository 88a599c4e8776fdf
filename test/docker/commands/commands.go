// Package commands finds which of Docker's commands and flags the side-by-side sessions show, and writes COMMANDS.md of it.
package commands

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"glassbox/test/docker"
)

// Evidence is what the sessions show of a command or a flag.
type Evidence struct {
	Same    []string // sessions in which a step with it does as Docker does
	Differs []Difference
}

// Difference is a step that a session says is meant to end otherwise.
type Difference struct {
	Session, Reason string
	Refusal         string // what glassbox says in refusing it
}

// Proof is the evidence of all sessions, by command and flag.
type Proof map[Subject]*Evidence

// Subject is a flag of a command, or the command itself, or (Spelling) one of its names.
type Subject struct{ Command, Flag, Spelling string }

func (p Proof) of(s Subject) *Evidence {
	if p[s] == nil {
		p[s] = &Evidence{}
	}
	return p[s]
}

// Prove reads what the sessions show. That they pass is shown by playing them: here their text is enough. A step without a wanted
// difference is evidence for every command and flag in it.
func Prove(sessions []*docker.Session, usages []*Usage) (Proof, error) {
	p := Proof{}
	type wanted struct {
		session string
		step    docker.Step
		calls   []Invocation
	}
	var later []wanted
	for _, s := range sessions {
		for _, step := range s.Steps {
			calls, err := Invocations(step.Command, usages)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", s.Name, step.Line, err)
			}
			if step.Wanted != nil && len(calls) > 0 {
				later = append(later, wanted{s.Name, step, calls})
				continue
			}
			for _, c := range calls {
				for _, subject := range c.subjects() {
					p.of(subject).same(s.Name)
				}
			}
		}
	}
	for _, w := range later {
		p.blame(w.session, w.step.Wanted, guilty(w.step.Wanted, w.calls))
	}
	return p, nil
}

func (e *Evidence) same(session string) {
	if name := strings.TrimSuffix(session, ".txtar"); !slices.Contains(e.Same, name) {
		e.Same = append(e.Same, name)
	}
}

func (c Invocation) subjects() []Subject {
	all := []Subject{{Command: c.Usage.Name()}, {Spelling: c.Spelling}}
	for _, f := range c.Flags {
		all = append(all, Subject{Command: c.Usage.Name(), Flag: f})
	}
	return all
}

// blame gives a wanted difference to the flags that its text names; else to those that never do as Docker does; else to the
// command.
func (p Proof) blame(session string, w *docker.Wanted, c Invocation) {
	d := Difference{Session: strings.TrimSuffix(session, ".txtar"), Reason: w.Reason}
	if w.Stderr != nil && w.Code != nil && *w.Code != 0 {
		d.Refusal = refusal(*w.Stderr)
	}
	named := slices.DeleteFunc(slices.Clone(c.Flags), func(f string) bool { return !mentions(w, f) })
	if len(named) == 0 {
		named = slices.DeleteFunc(slices.Clone(c.Flags), func(f string) bool {
			return len(p.of(Subject{Command: c.Usage.Name(), Flag: f}).Same) > 0
		})
	}
	if len(named) == 0 {
		named = []string{""}
	}
	slices.Sort(named)
	for _, f := range slices.Compact(named) {
		e := p.of(Subject{Command: c.Usage.Name(), Flag: f})
		if !slices.Contains(e.Differs, d) {
			e.Differs = append(e.Differs, d)
		}
	}
	p.of(Subject{Spelling: c.Spelling}).same(session)
}

// guilty is the call with a flag that the wanted difference names, or the last.
func guilty(w *docker.Wanted, calls []Invocation) Invocation {
	for _, c := range calls {
		if slices.ContainsFunc(c.Flags, func(f string) bool { return mentions(w, f) }) {
			return c
		}
	}
	return calls[len(calls)-1]
}

func mentions(w *docker.Wanted, flag string) bool {
	text := w.Reason
	if w.Stderr != nil {
		text += "\n" + *w.Stderr
	}
	return regexp.MustCompile(`--` + regexp.QuoteMeta(flag) + `\b[^-]`).MatchString(text + " ")
}

// refusal is the first line of what is said, without who says it.
func refusal(stderr string) string {
	line, _, _ := strings.Cut(stderr, "\n")
	for _, who := range []string{"docker: ", "Error response from daemon: "} {
		line = strings.TrimPrefix(line, who)
	}
	return line
}

// Absence is a command of Docker's that glassbox does not have.
type Absence struct {
	Command string // with all below it
	Issue   int    // that brings it
	Why     string // it never comes
}

func absence(absent []Absence, command string) *Absence {
	for i, a := range absent {
		if command == a.Command || strings.HasPrefix(command, a.Command+" ") {
			return &absent[i]
		}
	}
	return nil
}

// Missing are the commands, spellings and flags that no session shows.
func Missing(usages []*Usage, absent []Absence, p Proof) (all []string) {
	for _, u := range usages {
		if absence(absent, u.Name()) != nil {
			continue
		}
		for _, s := range u.Spellings {
			if len(p.of(Subject{Spelling: s}).Same) == 0 && s != "" {
				all = append(all, "docker "+s)
			}
		}
		for _, f := range u.Flags {
			if e := p.of(Subject{Command: u.Name(), Flag: f.Name}); len(e.Same)+len(e.Differs) == 0 {
				all = append(all, strings.TrimSpace("docker "+u.Name())+" --"+f.Name)
			}
		}
	}
	return all
}

// Arrived are the absent commands that a session shows at work all the same.
func Arrived(usages []*Usage, absent []Absence, p Proof) (all []string) {
	for _, u := range usages {
		if e := p.of(Subject{Command: u.Name()}); absence(absent, u.Name()) != nil && len(e.Same) > 0 {
			all = append(all, fmt.Sprintf("docker %s in %s", u.Name(), strings.Join(e.Same, ", ")))
		}
	}
	return all
}

// The states of a command or flag.
const (
	same    = "same"
	partly  = "same, except"
	differs = "differs"
	refused = "refused"
	unshown = "not shown"
)

func (e *Evidence) state() string {
	switch {
	case len(e.Differs) == 0 && len(e.Same) == 0:
		return unshown
	case len(e.Differs) == 0:
		return same
	case len(e.Same) > 0:
		return partly
	case slices.ContainsFunc(e.Differs, func(d Difference) bool { return d.Refusal == "" }):
		return differs
	}
	return refused
}

// notes name a session that shows the same, and tell each difference.
func (e *Evidence) notes() string {
	var notes []string
	if len(e.Same) > 0 {
		notes = append(notes, slices.Min(e.Same))
	}
	for _, d := range e.Differs {
		note := fmt.Sprintf("%s (%s)", d.Reason, d.Session)
		if d.Refusal != "" {
			note = fmt.Sprintf("`%s` %s", strings.ReplaceAll(d.Refusal, "`", "'"), note)
		}
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return strings.ReplaceAll(strings.Join(notes, "<br>"), "|", `\|`)
}

const preface = `# Docker's commands and flags

What glassbox does with every command and flag of Docker 28.5.2. Nothing in this file is declared: it is written by
` + "`go test ./test/docker/commands -update`" + ` from the sessions in ` + "`test/docker/testdata`" + `, which ` + "`make test`" + ` types to
real Docker and to glassbox and whose outputs and exit codes it compares. A test fails when this file is not what the sessions say,
or when a command or flag is in none of them.

- **same**: outputs and exit code are Docker's, in the session named and maybe others; also where both refuse it here (GPUs, Windows' flags)
- **same, except**: so in the session named first; another session tells of a case in which glassbox means to differ, and why
- **differs**: glassbox means to differ, for the reason given
- **refused**: glassbox ends with the message given

`

// Table is COMMANDS.md.
func Table(usages []*Usage, absent []Absence, p Proof) string {
	var b strings.Builder
	b.WriteString(preface)
	count := map[string]int{}
	var here, gone []*Usage
	for _, u := range usages {
		if absence(absent, u.Name()) != nil {
			gone = append(gone, u)
			continue
		}
		here = append(here, u)
		for _, s := range u.rows() {
			count[p.of(s).state()]++
		}
	}
	fmt.Fprintf(&b, "Of %d commands and their flags, %d rows: ", len(here), total(count))
	for i, state := range []string{same, partly, differs, refused, unshown} {
		if count[state] > 0 || i == 0 {
			fmt.Fprintf(&b, "%s%d %s", map[bool]string{true: ", "}[i > 0], count[state], state)
		}
	}
	fmt.Fprintf(&b, ". %d commands are [not there](#not-there).\n", len(gone))
	for _, u := range here {
		u.table(&b, p)
	}
	b.WriteString("\n## Not there\n\n| command | |\n|---|---|\n")
	for _, u := range gone {
		a := absence(absent, u.Name())
		fmt.Fprintf(&b, "| `docker %s` | %s |\n", u.Name(), cmp.Or(a.Why, fmt.Sprintf("not there yet: issue %d", a.Issue)))
	}
	return b.String()
}

func total(count map[string]int) (n int) {
	for c := range maps.Values(count) {
		n += c
	}
	return n
}

func (u *Usage) rows() []Subject {
	all := []Subject{{Command: u.Name()}}
	for _, f := range u.Flags {
		all = append(all, Subject{Command: u.Name(), Flag: f.Name})
	}
	return all
}

func (u *Usage) table(b *strings.Builder, p Proof) {
	fmt.Fprintf(b, "\n## docker %s\n\n", cmp.Or(u.Name(), "itself"))
	if len(u.Spellings) > 1 {
		fmt.Fprintf(b, "Also `docker %s`.\n\n", strings.Join(u.Spellings[1:], "`, `docker "))
	}
	b.WriteString("| | state | |\n|---|---|---|\n")
	for i, s := range u.rows() {
		what := "the command"
		if i > 0 {
			what = u.Flags[i-1].String()
		} else if u.Name() == "" {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", what, p.of(s).state(), p.of(s).notes())
	}
}

func (f Flag) String() string {
	text := "`--" + f.Name + "`"
	if f.Letter != "" {
		text = "`-" + f.Letter + "`, " + text
	}
	if f.Hidden {
		text += " (hidden)"
	}
	return text
}
