package experiment

import (
	"slices"
	"strings"
	"testing"

	"glassbox/program"
)

func TestSame(t *testing.T) {
	for _, c := range []struct{ a, b, common string }{
		{"", "", ""}, {"a", "", ""}, {"abc", "abc", "abc"}, {"abcd", "abxd", "abd"}, {"xabc", "abc", "abc"}, {"abc", "abcx", "abc"},
		{"axbyc", "abc", "abc"}, {"aaa", "aa", "aa"}, {"abcabc", "cab", "cab"}, {"ab", "ba", "a"},
	} {
		a, b := strings.Split(c.a, ""), strings.Split(c.b, "")
		inA, inB := same(a, b)
		if got := kept(a, inA); len(got) != len(c.common) || got != kept(b, inB) {
			t.Errorf("%s and %s: %q and %q; want %q", c.a, c.b, got, kept(b, inB), c.common)
		}
	}
	many := func(first string) []string {
		list := []string{first}
		for range 1 << 15 {
			list = append(list, "y"+first)
		}
		return append(list, "end")
	}
	if inA, _ := same(many("a"), many("b")); !inA[len(inA)-1] || inA[1] {
		t.Error("long lists are compared at their ends")
	}
}

func kept(list []string, in []bool) string {
	var b strings.Builder
	for i, s := range list {
		if in[i] {
			b.WriteString(s)
		}
	}
	return b.String()
}

func TestChanges(t *testing.T) {
	run := func(calls ...string) *Run {
		r := &Run{Containers: []string{strings.Repeat("0", 64)}}
		var child []program.Done
		for _, c := range calls {
			name, _, _ := strings.Cut(c, "(")
			child = append(child, program.Done{Call: c, Why: "for " + name})
		}
		child = append(child, program.Done{Call: "read(3)", Gate: "created"})
		r.Account = []program.Account{{Child: child}}
		return r
	}
	whole := run(`clone3({flags=CLONE_NEWNS|CLONE_NEWPID})`, `mount("proc", 5)`, "close(5)", "pivot_root(\".\", \".\")", "close(6)", `execve("/bin/sh")`)
	less := run(`clone3({flags=CLONE_NEWNS})`, `mount("proc", 4)`, "close(4)", `chroot(".")`, `execve("/bin/sh")`)
	var got []string
	for _, c := range gathered(changes(whole, less)) {
		got = append(got, c.Kind+" "+c.Call+" "+strings.Join(c.Gone, " "))
	}
	want := []string{"changed clone3 CLONE_NEWPID", `gone pivot_root(".", ".") `, "gone close(6) ", `instead chroot(".") `}
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	if c := (Change{Kind: "changed", Call: "clone3", Gone: []string{"CLONE_NEWPID"}}); !c.essential([]string{"clone3 CLONE_NEWPID"}) || c.essential([]string{"clone3 CLONE_NEWNS", "clone"}) {
		t.Error("what is essential to a mechanism is not found")
	}
}
