package dockerfile

import (
	"slices"
	"strings"
	"testing"

	"glassbox/engine"
	"glassbox/source"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/opencontainers/go-digest"
)

// arranged reads a Dockerfile and arranges its stages.
func arranged(t *testing.T, o Options, text string) *build {
	t.Helper()
	f, err := parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := &build{Options: o, file: f}
	if err := b.arrange(); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.stages {
		s.edit = engine.NewEdit(nil, s.lex)
	}
	return b
}

func TestOnlyNeededStagesAreCounted(t *testing.T) {
	text := `ARG V=1
FROM a:$V AS one
RUN 1
FROM b AS two
RUN 2
FROM one AS three
COPY --from=0 /x /y
RUN --mount=type=bind,from=TWO,target=/t 3
FROM c AS four
`
	for _, c := range []struct {
		target string
		needed []bool
		steps  int
	}{
		{"", []bool{false, false, false, true}, 2},
		{"three", []bool{true, true, true}, 8},
		{"THREE", []bool{true, true, true}, 8},
		{"two", []bool{false, true}, 3},
	} {
		b := arranged(t, Options{Target: c.target}, text)
		var needed []bool
		for _, s := range b.stages {
			needed = append(needed, s.needed)
		}
		if !slices.Equal(needed, c.needed) || b.steps != c.steps {
			t.Errorf("--target %q needs %v in %d steps, not %v in %d", c.target, needed, b.steps, c.needed, c.steps)
		}
	}
	b := arranged(t, Options{Labels: map[string]string{"z": "1", "a": "2"}}, "FROM a\n")
	var labels []string
	for _, c := range b.stages[0].Commands {
		labels = append(labels, c.(*instructions.LabelCommand).String())
	}
	if want := []string{"LABEL a=2", "LABEL z=1"}; !slices.Equal(labels, want) {
		t.Errorf("--label becomes %q, not %q", labels, want)
	}
}

func TestStagesThatBeginAlikeFollowOneAnother(t *testing.T) {
	b := arranged(t, Options{}, `FROM a AS one
RUN x
RUN y
FROM a AS two
RUN x
RUN z
FROM b AS three
RUN x
FROM one AS four
FROM two
COPY --from=one / /
COPY --from=three / /
`)
	two := b.stages[1]
	if two.twin != b.stages[0] || two.alike != 2 {
		t.Errorf("two follows %v for %d steps, not one for 2", two.twin, two.alike)
	}
	for _, n := range []int{0, 2, 4} {
		if s := b.stages[n]; s.twin != nil {
			t.Errorf("stage %d follows stage %d", n, s.twin.number)
		}
	}
}

func TestArguments(t *testing.T) {
	one, two := "one", "two"
	b := arranged(t, Options{Args: map[string]*string{"GIVEN": &one, "HTTP_PROXY": &two, "UNSET": nil, "OTHER": &one, "HIDDEN": &one}}, `ARG GLOBAL=g
ARG EXPANDED=$GLOBAL-$GIVEN
FROM a
ARG GIVEN=default
ARG GLOBAL
ARG EXPANDED=local
ARG UNSET
ARG HIDDEN
`)
	s := b.stages[0]
	s.edit.Env = []string{"HIDDEN=by the image"}
	for _, c := range s.Commands {
		if err := s.expand(c, s.args.inForce(s.edit.Env)); err != nil {
			t.Fatal(err)
		}
		s.args.declare(c.(*instructions.ArgCommand))
	}
	want := []string{"EXPANDED=local", "GIVEN=one", "GLOBAL=g", "HTTP_PROXY=two"}
	if got := s.args.inForce(s.edit.Env); !slices.Equal(got, want) {
		t.Errorf("in force: %q, not %q", got, want)
	}
	if got := s.args.counting(s.edit.Env); !slices.Equal(got, want[:3]) {
		t.Errorf("counting: %q, not %q", got, want[:3])
	}
	if got := strings.Join(s.args.before(s.edit.Env), " "); got != "|3 EXPANDED=local GIVEN=one GLOBAL=g" {
		t.Errorf("history says %q", got)
	}
	if got := leftover(b.Args, s.args.consumed); !slices.Equal(got, []string{"OTHER"}) {
		t.Errorf("left over: %q", got)
	}
	if got := s.args.global["EXPANDED"]; got != "g-" {
		t.Errorf("EXPANDED is %q before the first FROM", got)
	}
}

func TestFlagsThatBuildKitHasOnlyWithTags(t *testing.T) {
	f, err := parse("Dockerfile", []byte("FROM a\nCOPY --parents --chown=1 a b\nCOPY --parents=false a b\nRUN --security=insecure x\nRUN --security=sandbox x\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := f.stages[0].Commands
	if first := c[0].(*instructions.CopyCommand); !first.Parents || first.Chown != "1" || c[1].(*instructions.CopyCommand).Parents {
		t.Error("--parents is misread")
	}
	if !f.insecure[c[2].(*instructions.RunCommand)] || f.insecure[c[3].(*instructions.RunCommand)] {
		t.Error("--security is misread")
	}
	for text, want := range map[string]string{
		"COPY --parents=x a b":             "dockerfile parse error on line 2: expecting boolean value for flag --parents, not: x",
		"COPY --parents --parents a b":     "dockerfile parse error on line 2: duplicate flag specified: --parents",
		"RUN --security x":                 "dockerfile parse error on line 2: missing a value on flag: --security",
		"RUN --security=none x":            `dockerfile parse error on line 2: security "none" is not valid`,
		"RUN --security=sandbox --bogus x": "dockerfile parse error on line 2: unknown flag: --bogus",
		"COPY --from=a --from=b x y":       "dockerfile parse error on line 2: duplicate flag specified: --from",
	} {
		if _, err := parse("Dockerfile", []byte("FROM a\n"+text+"\n")); err == nil || err.Error() != want {
			t.Errorf("%s: %v, not %s", text, err, want)
		}
	}
}

func TestCommandLines(t *testing.T) {
	for text, want := range map[string]string{
		"RUN a b":                        "a b",
		"RUN <<X\na\n\tb\nX":             "a\n\tb\n",
		"RUN <<-X\n\ta\n\tb\n\tX":        "a\nb\n",
		"RUN <<X\n#!/bin/x\na\nX":        "/dev/pipes/X #!/bin/x\na\n",
		"RUN cat <<X >y\na\nX":           "cat <<X >y\na\nX",
		"RUN <<X bash\na\nX":             "<<X bash\na\nX",
		"RUN cat <<A <<B\na\nA\nb\nB":    "cat <<A <<B\na\nA\nb\nB",
		"RUN <<\"X\"\necho $A \\\n b\nX": "echo $A \\\n b\n",
	} {
		f, err := parse("Dockerfile", []byte("FROM a\n"+text+"\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		line, files, err := commandLine(f.stages[0].Commands[0].(*instructions.RunCommand))
		got := strings.Join(line.CmdLine, "|")
		for _, file := range files {
			got += " " + file.Data
		}
		if err != nil || got != want {
			t.Errorf("%q runs %q (%v), not %q", text, got, err, want)
		}
	}
}

func TestKeysTellInputsApart(t *testing.T) {
	known := map[string][]input{}
	for _, inputs := range [][]input{nil, {{"a", "b"}}, {{"a", ""}, {"b", ""}}, {{"ab", ""}}, {{"a", "b"}, {"c", "d"}}, {{"c", "d"}, {"a", "b"}}, {{"a", `b","Value":"`}}} {
		for _, parent := range []digest.Digest{"", "sha256:1"} {
			key := keyOf(parent, inputs)
			if was, twice := known[key]; twice {
				t.Errorf("%v and %v have one key", was, inputs)
			}
			known[key] = inputs
		}
	}
}

func TestCausesNameWhatChanged(t *testing.T) {
	file := func(name, text string) source.Entry { return source.Entry{Name: name, Digest: digest.FromString(text)} }
	was := []source.Entry{file("a", "1"), file("b", "1"), file("d", "1")}
	is := []source.Entry{file("a", "1"), file("b", "2"), file("c", "1")}
	got := changes(was, is)
	want := []string{"b changed (" + short(is[1].Digest) + ", was " + short(was[1].Digest) + ")", "c is new", "d is gone"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	var many []source.Entry
	for _, name := range strings.Split("a b c d e f g h", " ") {
		many = append(many, file(name, "1"))
	}
	if got := changes([]source.Entry{}, many); len(got) != 6 || got[5] != "and 3 more files" {
		t.Errorf("%q", got)
	}
	s := &stage{build: &build{cache: &cache{}}}
	past := pastStep{Inputs: []input{{"instruction", "RUN a"}, {"command", "a"}, {"ARG X", "1"}, {"ARG Y", "1"}}}
	got = s.differences(past, action{inputs: []input{{"instruction", "RUN b"}, {"command", "b"}, {"ARG X", "2"}, {"ARG Z", "3"}}})
	want = []string{"it was: RUN a", `ARG X is "2", was "1"`, `ARG Z is new: "3"`, "ARG Y is not there any more"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
