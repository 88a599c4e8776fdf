package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// kind is which machine a test runs in. They are started at the same time.
type kind int

const (
	ordinary  kind = iota
	classroom      // lessons and experiments, which take long and wait much
	managed        // by systemd
)

// runTests builds the packages' tests here, and runs those in the machines that say they need one.
func runTests(args []string) (int, error) {
	m := machine{CPUs: 2, Memory: 3072, Timeout: 35 * time.Minute}
	set := flag.NewFlagSet("vm test", flag.ContinueOnError)
	machineFlags(set, &m)
	set.BoolVar(&m.Plan.Verbose, "v", false, "show all output")
	all := set.Bool("all", false, "run every test, not only those that need cgroup v2 or a second kernel")
	set.Var(&m.env, "env", "a variable for the tests: NAME=VALUE")
	only := set.String("run", "", "of those, run tests matching this regular expression; as in `go test`, what stands behind a slash chooses subtests")
	if err := set.Parse(args); err != nil {
		return 2, err
	}
	packages, err := findPackages(set.Args())
	if err != nil {
		return 1, err
	}
	if _, err := prepare(); err != nil { // once, for all
		return 1, err
	}
	type end struct {
		status int
		err    error
	}
	ends, running := make(chan end), 0
	for _, k := range []kind{classroom, ordinary, managed} { // first what takes longest
		boot := m
		if k == classroom {
			boot.CPUs = 1 // what it does is making processes, which takes longer with two, and the others need theirs
		}
		boot.Plan.Systemd = k == managed
		if err := boot.open(); err != nil {
			return 1, err
		}
		defer boot.close()
		if err := boot.collect(packages, k, *all, *only); err != nil {
			return 1, err
		}
		if len(boot.Plan.Commands) == 0 {
			continue
		}
		running++
		go func() {
			status, err := boot.boot()
			ends <- end{status, err}
		}()
	}
	worst := end{}
	for range running {
		e := <-ends
		worst = end{max(worst.status, e.status), errors.Join(worst.err, e.err)}
	}
	if worst.err != nil {
		return 1, worst.err
	}
	return worst.status, nil
}

// collect builds the packages that have tests for this boot, and plans them.
func (m *machine) collect(packages []testPackage, k kind, all bool, only string) error {
	var env []string
	for i, p := range packages {
		names, err := p.needing(k, all)
		if err != nil {
			return err
		}
		top, sub, _ := strings.Cut(only, "/")
		if names, err = matching(names, top); err != nil {
			return err
		}
		if len(names) == 0 {
			continue
		}
		if env == nil && p.runsPrograms() {
			if env, err = buildPrograms(filepath.Join(m.run, "bin")); err != nil {
				return err
			}
		}
		name := fmt.Sprintf("%d.test", i)
		if err := p.build(filepath.Join(m.run, name)); err != nil {
			return err
		}
		args := []string{local + "/" + name, "-test.run=^(" + strings.Join(names, "|") + ")$/" + sub, "-test.timeout=" + m.Timeout.String()}
		if m.Plan.Verbose {
			args = append(args, "-test.v")
		}
		m.Plan.Commands = append(m.Plan.Commands, command{Dir: p.dir, Args: args, Test: p.path, Env: append(slices.Clip(env), m.env...)})
	}
	return nil
}

// runsPrograms: need.Programs is called somewhere in the package's tests, or what gives glassbox to a world or its machines.
func (p testPackage) runsPrograms() bool {
	files, _ := filepath.Glob(filepath.Join(p.dir, "*_test.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, _ := os.ReadFile(file)
		return bytes.Contains(text, []byte("need.Programs(")) || bytes.Contains(text, []byte("machines.Main(")) || bytes.Contains(text, []byte("bundle.Main(")) || bytes.Contains(text, []byte("world.BuildGlassbox"))
	})
}

// buildPrograms builds glassbox and glassrun for need.Programs.
func buildPrograms(dir string) (env []string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := goTool(root, "build", "-o", dir+"/", "./cmd/..."); err != nil {
		return nil, err
	}
	return []string{"GLASSBOX_BIN=" + local + "/bin", "PATH=" + local + "/bin:" + os.Getenv("PATH")}, nil
}

func goTool(dir string, args ...string) error {
	c := exec.Command("go", args...)
	c.Dir, c.Stdout, c.Stderr = dir, os.Stderr, os.Stderr
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := c.Run(); err != nil {
		return fmt.Errorf("running go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

type testPackage struct{ path, dir string }

func findPackages(patterns []string) ([]testPackage, error) {
	if len(patterns) == 0 {
		return nil, errors.New("vm test: no packages given")
	}
	text, err := output("", "go", append([]string{"list", "-f", "{{.ImportPath}}\t{{.Dir}}\t{{len .TestGoFiles}}{{len .XTestGoFiles}}"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var found []testPackage
	for line := range strings.Lines(text) {
		w := strings.Split(strings.TrimSpace(line), "\t")
		if len(w) == 3 && w[2] != "00" {
			found = append(found, testPackage{path: w[0], dir: w[1]})
		}
	}
	return found, nil
}

func (p testPackage) build(to string) error {
	return goTool(p.dir, "test", "-c", "-vet=off", "-o", to, ".")
}

// wants is what a function asks of the machine through package need.
type wants struct{ machine, classroom, systemd bool }

// kind is where such a function runs; systemd cannot be had elsewhere.
func (w *wants) kind() kind {
	switch {
	case w.systemd:
		return managed
	case w.classroom:
		return classroom
	}
	return ordinary
}

func (w *wants) add(v wants) bool {
	before := *w
	w.machine, w.classroom, w.systemd = w.machine || v.machine, w.classroom || v.classroom, w.systemd || v.systemd
	return *w != before
}

// needing lists the tests that call need.CgroupV2, SecondKernel, AppArmor or Disposable, for the classroom need.Classroom, or for a boot with systemd
// need.Systemd, themselves or through functions of their test files.
func (p testPackage) needing(k kind, all bool) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(p.dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	calls, needs := map[string][]string{}, map[string]*wants{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				calls[f.Name.Name], needs[f.Name.Name] = called(f.Body)
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for f, to := range calls {
			for _, g := range to {
				if w := needs[g]; w != nil && needs[f].add(*w) {
					changed = true
				}
			}
		}
	}
	var tests []string
	for f, w := range needs {
		if isTest(f) && w.kind() == k && (k != ordinary || w.machine || all) {
			tests = append(tests, f)
		}
	}
	slices.Sort(tests)
	return tests, nil
}

// called lists the names that a body mentions, and what it needs itself.
func called(body *ast.BlockStmt) (names []string, w *wants) {
	w = &wants{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			names = append(names, n.Name)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "need" {
				w.machine = w.machine || slices.Contains([]string{"CgroupV2", "SecondKernel", "AppArmor", "Disposable"}, n.Sel.Name)
				w.classroom = w.classroom || n.Sel.Name == "Classroom"
				w.systemd = w.systemd || n.Sel.Name == "Systemd"
			}
		}
		return true
	})
	return names, w
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") && name != "TestMain"
}

func matching(names []string, expression string) ([]string, error) {
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool { return !re.MatchString(n) }), nil
}
