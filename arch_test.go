package glassbox

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors is the architecture: a package imports only packages on floors below its own, so those of one
// floor never import one another.
var floors = []struct {
	number   int
	packages []string
}{
	{1, []string{"linux", "store", "tiny", "mechanism", "screen", "labs", "binfmt"}},
	{2, []string{"program", "sealed", "event", "logfile", "seccomp", "progress"}},
	{3, []string{"trace", "namespaces", "rootfs", "cgroups", "confine", "network", "firewall", "volume", "archive", "stepper"}},
	{4, []string{"runtime", "image"}},
	{5, []string{"monitor", "attendant", "oci", "source"}},
	{6, []string{"engine"}},
	{7, []string{"dockerfile", "view", "experiment", "why", "doctor", "lab"}},
	{8, []string{"recording"}},
	{9, []string{"cmd/glassbox", "cmd/glassrun"}},
}

// file is one Go source file, parsed.
type file struct {
	path   string // from the module's root
	folder string
	syntax *ast.File
	source string
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func sources(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".cache" || d.Name() == ".git" || path == "bin") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, file{path, filepath.Dir(path), syntax, string(source)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// floorOf returns a folder's floor; a folder below a package of the table is on that package's floor.
func floorOf(folder string) (number int, owner string, found bool) {
	for _, f := range floors {
		for _, p := range f.packages {
			if folder == p || strings.HasPrefix(folder, p+"/") {
				return f.number, p, true
			}
		}
	}
	return 0, "", false
}

func TestImportsPointDownwards(t *testing.T) {
	for _, f := range sources(t) {
		if f.folder == "." || strings.HasPrefix(f.folder, "test") || f.test() {
			continue
		}
		number, owner, found := floorOf(f.folder)
		if !found {
			t.Errorf("%s: %s is on no floor: add it to the table in arch_test.go", f.path, f.folder)
			continue
		}
		for _, path := range f.imports(t) {
			folder, ours := strings.CutPrefix(path, "glassbox/")
			if !ours {
				continue
			}
			below, target, found := floorOf(folder)
			switch {
			case !found:
				t.Errorf("%s imports %s, which is on no floor", f.path, path)
			case target == owner:
			case below > number:
				t.Errorf("%s (floor %d) imports %s, which is above it (floor %d)", f.path, number, path, below)
			case below == number:
				t.Errorf("%s imports %s: the packages of floor %d never import one another", f.path, path, number)
			}
		}
	}
}

// lean is what the monitor must not carry, since one stays with every container. The attendant, of the same program, speaks TCP and
// may have net: its init is nothing, and what is not called is not in memory.
var lean = []string{"net", "net/http", "regexp", "text/template"}

func TestMonitorIsLean(t *testing.T) {
	all := sources(t)
	for _, folder := range linked(all, "cmd/glassrun") {
		for _, f := range all {
			if f.folder != folder || f.test() {
				continue
			}
			for _, path := range f.imports(t) {
				if path == "net" && folder == "attendant" {
					continue
				}
				if slices.Contains(lean, path) || strings.HasPrefix(path, "github.com/docker/") || strings.HasPrefix(path, "github.com/vishvananda/") {
					t.Errorf("%s imports %s, which makes every monitor bigger", f.path, path)
				}
			}
		}
	}
}

// linked are the folders that become part of a program.
func linked(all []file, program string) []string {
	folders := []string{program}
	for i := 0; i < len(folders); i++ {
		for _, f := range all {
			if f.folder != folders[i] || f.test() {
				continue
			}
			for _, spec := range f.syntax.Imports {
				if folder, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "glassbox/"); ours && !slices.Contains(folders, folder) {
					folders = append(folders, folder)
				}
			}
		}
	}
	return folders
}

func (f file) imports(t *testing.T) (paths []string) {
	for _, spec := range f.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestNoInit(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: what runs must be seen where it is called", f.path)
			}
		}
	}
}

func TestNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "types", "base", "pkg", "lib", "core"}
	for _, f := range sources(t) {
		names := append(strings.Split(filepath.ToSlash(f.folder), "/"), f.syntax.Name.Name,
			strings.TrimSuffix(strings.TrimSuffix(filepath.Base(f.path), ".go"), "_test"))
		for _, name := range names {
			if slices.Contains(vague, name) {
				t.Errorf("%s: %q says nothing about what is inside", f.path, name)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		if f.test() {
			continue
		}
		want := "// Package " + f.syntax.Name.Name + " "
		if f.syntax.Name.Name == "main" {
			want = "// Command " + filepath.Base(f.folder) + " "
		}
		documented[f.folder] = documented[f.folder] || strings.HasPrefix(f.source, want)
	}
	for folder, done := range documented {
		if !done {
			t.Errorf("%s: no file begins with its documentation (// Package x ..., // Command x ...)", folder)
		}
	}
}
