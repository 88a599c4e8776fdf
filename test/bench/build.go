package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"glassbox/test/world"
)

// The steps of a build that is measured; the files of the context of another.
const buildSteps, contextFiles = 20, 20_000

// builds: the same Dockerfiles built by glassbox, by Docker's classic builder and by buildah.
func builds(r *rig, t *table) error {
	if err := installed("buildah"); err != nil {
		return err
	}
	bb, err := world.Busybox()
	if err != nil {
		return err
	}
	base := r.address + "/bb"
	if err := world.Push(bb, base); err != nil {
		return err
	}
	for _, argv := range [][]string{glassbox("pull", base), {r.docker.CLI, "pull", base}, buildah("pull", "--tls-verify=false", base)} {
		if err := run(argv); err != nil {
			return err
		}
	}
	if err := steps(r, t, base); err != nil {
		return err
	}
	return context(r, t, base)
}

// steps are RUNs that do next to nothing: what is left is what a step costs.
func steps(r *rig, t *table, base string) error {
	dir := world.Dir() + "/steps"
	var text strings.Builder
	fmt.Fprintf(&text, "FROM %s\n", base)
	for i := range buildSteps {
		fmt.Fprintf(&text, "RUN true %d\n", i)
	}
	if err := put(dir+"/Dockerfile", text.String()); err != nil {
		return err
	}
	cold := []*runner{
		{name: "docker build", argv: always(r.docker.CLI, "build", "--no-cache", "-t", "steps", dir)},
		{name: "glassbox build", argv: always(glassbox("build", "--no-cache", "-t", "steps", dir)...), watch: true},
		{name: "buildah build", argv: always(buildah("build", "--layers", "--no-cache", "-t", "steps", dir)...)},
	}
	if err := race(cold, few()); err != nil {
		return err
	}
	what := fmt.Sprintf("build of %d trivial `RUN`s", buildSteps)
	t.compare(what, cold[1], cold[0], 0.1, "≤ 1/10")
	t.compare(what, cold[1], cold[2], 0, "")
	cached := []*runner{
		{name: "docker build", argv: always(r.docker.CLI, "build", "-t", "steps", dir)},
		{name: "glassbox build", argv: always(glassbox("build", "-t", "steps", dir)...)},
		{name: "buildah build", argv: always(buildah("build", "--layers", "-t", "steps", dir)...)},
	}
	if err := race(cached, *rounds); err != nil {
		return err
	}
	t.compare("the same, all cached", cached[1], cached[0], 0.25, "≤ 1/4")
	t.compare("the same, all cached", cached[1], cached[2], 0.25, "≤ 1/4")
	return nil
}

// context: many small files, of which one is another one each time.
func context(r *rig, t *table, base string) error {
	dir := world.Dir() + "/context"
	if err := put(dir+"/Dockerfile", "FROM "+base+"\nCOPY . /c\n"); err != nil {
		return err
	}
	for i := range contextFiles {
		if err := put(fmt.Sprintf("%s/%d/%d", dir, i/100, i), strings.Repeat(fmt.Sprintf("file %d\n", i), 100)); err != nil {
			return err
		}
	}
	// Each builder sees a change: they take turns with one number more each time.
	turn := 0
	changed := func(int) error {
		turn++
		return put(dir+"/100/10000", fmt.Sprintln("turn", turn))
	}
	runners := []*runner{
		{name: "docker build", before: changed, argv: always(r.docker.CLI, "build", "-t", "context", dir)},
		{name: "glassbox build", before: changed, argv: always(glassbox("build", "-t", "context", dir)...), watch: true},
		{name: "buildah build", before: changed, argv: always(buildah("build", "--layers", "-t", "context", dir)...)},
	}
	if err := race(runners, few()); err != nil {
		return err
	}
	what := fmt.Sprintf("`COPY` of %d files, one changed", contextFiles)
	t.compare(what, runners[1], runners[0], 1./3, "≤ 1/3")
	t.compare(what, runners[1], runners[2], 0, "")
	t.memory("building that", runners[1])
	return nil
}

func put(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// buildah is a command of buildah's with its storage in the world.
func buildah(args ...string) []string {
	argv := []string{"buildah", "--root", world.Dir() + "/buildah", "--runroot", "/run/buildah", "--storage-driver", "overlay"}
	if args[0] == "build" {
		args = append([]string{"build", "--isolation", "oci", "--runtime", "runc", "--network", "none", "--pull-never", "--tls-verify=false"}, args[1:]...)
	}
	return append(argv, args...)
}
