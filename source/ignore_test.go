package source

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
)

// kept are the names of what a walk visits.
func kept(t testing.TB, tree *Tree, from string) (names []string) {
	t.Helper()
	at, err := tree.at(from)
	do(t, err)
	defer at.close()
	w := walk{ctx: context.Background(), tree: tree, sieve: sieve{ignore: tree.Ignore}}
	w.visit = func(f *file) error {
		name := f.name
		if f.bare {
			name += " (in part)"
		}
		names = append(names, name)
		return nil
	}
	do(t, w.from(at))
	return names
}

// TestIgnored: each of these was asked of Docker too, by builds of `COPY . /app`.
func TestIgnored(t *testing.T) {
	dir := files(t, "a.txt=", "b.md=", "d/f=", "d/sub/deep/h=", "d/sub/g=", "ign/drop/n=", "ign/keep/k=", "ign/n=")
	all := []string{"a.txt", "b.md", "d", "d/f", "d/sub", "d/sub/deep", "d/sub/deep/h", "d/sub/g", "ign", "ign/drop", "ign/drop/n", "ign/keep", "ign/keep/k", "ign/n"}
	but := func(prefixes ...string) (left []string) {
		for _, name := range all {
			if !slices.ContainsFunc(prefixes, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") }) {
				left = append(left, name)
			}
		}
		return left
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", all},
		{"comments and spaces", "# b.md\n\n   a.txt  \n", but("a.txt")},
		{"a byte order mark", "\ufeffa.txt", but("a.txt")},
		{"slashes", "/d/\n./a.txt", but("a.txt", "d")},
		{"a name is one at the top", "f", all},
		{"at any depth", "**/f\n**/deep", but("d/f", "d/sub/deep")},
		{"an exception in a directory", "ign\n!ign/keep", append(but("ign"), "ign (in part)", "ign/keep", "ign/keep/k")},
		{"only what exceptions name", "*\n!*.md\n!d/sub", []string{"b.md", "d (in part)", "d/sub", "d/sub/deep", "d/sub/deep/h", "d/sub/g"}},
		{"an exception with a wildcard does not open a directory", "**\n!**/g", nil},
		{"the last one holds", "d\n!d/f\nd/f", but("d")},
		{"a dot", ".", all},
		{"everything", "**", nil},
		{"the way out", "../a.txt", all},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, err := ReadIgnore(strings.NewReader(c.text))
			do(t, err)
			same(t, kept(t, &Tree{Root: open(t, dir), Ignore: i}, "."), c.want)
		})
	}
}

func TestIgnoreMistakes(t *testing.T) {
	for text, want := range map[string]string{"!": `checking context: illegal exclusion pattern: "!"`, "[a": "checking context: syntax error in pattern"} {
		if _, err := ReadIgnore(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestIgnoredIsNotThere: what is left out can be named neither directly, nor through a link, nor by a wildcard.
func TestIgnoredIsNotThere(t *testing.T) {
	dir := files(t, "d/f=f", "d/g=g", "l->d", "lf->d/f", "keep=")
	from := tree(t, dir, "d/f", "keep")
	for _, name := range []string{"d/f", "l/f", "lf", "keep", "d/../keep"} {
		err := carry(t, Order{From: from, Paths: []string{name}, Dest: "/x"}, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "excluded by .dockerignore") {
			t.Errorf("%s: %v", name, err)
		}
	}
	image := t.TempDir()
	do(t, carry(t, Order{From: from, Paths: []string{"l/*"}, Dest: "/x/"}, image), carry(t, Order{From: from, Paths: []string{"l"}, Dest: "/y"}, image))
	same(t, listing(t, image), []string{"x/ 755 now", "x/g=g 644", "y/ 755 now", "y/g=g 644"})
}

// sent are the names that Docker's client sends, by the rule in moby/go-archive, Tarballer.Do, whose loop this is.
func sent(t testing.TB, dir string, m *patternmatcher.PatternMatcher) (names []string) {
	known := map[string]patternmatcher.MatchInfo{}
	do(t, filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, file)
		if err != nil || name == "." {
			return err
		}
		skip, info, err := m.MatchesUsingParentResults(name, known[path.Dir(name)])
		do(t, err)
		if d.IsDir() {
			known[name] = info
		}
		switch {
		case !skip:
			names = append(names, name)
		case !d.IsDir():
		case !m.Exclusions():
			return filepath.SkipDir
		default:
			for _, p := range m.Patterns() {
				if p.Exclusion() && strings.HasPrefix(p.String()+"/", name+"/") {
					return nil
				}
			}
			return filepath.SkipDir
		}
		return nil
	}))
	return names
}

// FuzzIgnore: a walk leaves out what Docker's client does, and so does whoever is asked for a name or walks from there; no text makes it fail
// but with an error.
func FuzzIgnore(f *testing.F) {
	for _, text := range []string{"a\n!a/b", "**/f\n!d", "*\n!d/*/x", "# c\n \n/d/", "[a-", "!", "**\n!**/g", "d/**\n!d/sub/**/f", "\\", "a/../b", "\ufeffd", "d*\n!d/f\nd/sub"} {
		f.Add(text)
	}
	names := []string{"a/b/c", "a/b/f", "a/f", "d/f", "d/sub/f", "d/sub/g", "d/sub/x/f", "f", "dd/x", "!x/f", "e/"}
	dir := f.TempDir()
	for _, name := range names {
		do(f, os.MkdirAll(filepath.Join(dir, path.Dir(name)), 0o755))
		if !strings.HasSuffix(name, "/") {
			do(f, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
		}
	}
	root, err := os.Open(dir)
	do(f, err)
	f.Cleanup(func() { root.Close() })
	f.Fuzz(func(t *testing.T, text string) {
		ignore, err := ReadIgnore(strings.NewReader(text))
		if err != nil || ignore == nil {
			return
		}
		tree := &Tree{Root: root, Ignore: ignore}
		want := sent(t, dir, ignore.matcher)
		whole := slices.DeleteFunc(kept(t, tree, "."), func(name string) bool { return strings.HasSuffix(name, " (in part)") })
		same(t, whole, want)
		for _, name := range want {
			if ignore.matches(name) {
				t.Errorf("%s is kept by a walk and hidden by its name", name)
			}
		}
		if slices.Contains(want, "d") {
			below := slices.DeleteFunc(kept(t, tree, "d"), func(name string) bool { return strings.HasSuffix(name, " (in part)") })
			same(t, below, slices.DeleteFunc(want, func(name string) bool { return !strings.HasPrefix(name, "d/") }))
		}
	})
}

// TestIgnoreOfADockerfile: NAME.dockerignore goes before the directory's own.
func TestIgnoreOfADockerfile(t *testing.T) {
	dir := files(t, "Dockerfile=FROM", "Other=FROM", ".dockerignore=a", "Other.dockerignore=b", "a=", "b=")
	for file, want := range map[string][]string{
		"":                  {".dockerignore", "Dockerfile", "Other", "Other.dockerignore", "b"},
		dir + "/Other":      {".dockerignore", "Dockerfile", "Other", "Other.dockerignore", "a"},
		dir + "/Dockerfile": {".dockerignore", "Dockerfile", "Other", "Other.dockerignore", "b"},
	} {
		c, err := Open(context.Background(), dir, Options{Dockerfile: file})
		do(t, err)
		same(t, kept(t, &c.Tree, "."), want)
		do(t, c.Close())
	}
}
