package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"glassbox/test/smaps"
	"glassbox/test/world"
)

func always(argv ...string) func(int) []string { return func(int) []string { return argv } }

// runs: a whole container from an image, from the command line to its end and removal.
func runs(r *rig, t *table) error {
	image := r.address + "/true"
	for _, argv := range [][]string{glassbox("pull", image), {r.docker.CLI, "pull", image}, podman("pull", "--tls-verify=false", image)} {
		if err := run(argv); err != nil {
			return err
		}
	}
	ours := &runner{name: "glassbox run", argv: always(glassbox("run", "--rm", "--network", "none", image)...)}
	dockers := &runner{name: "docker run", argv: always(r.docker.CLI, "run", "--rm", "--network", "none", image)}
	podmans := &runner{name: "podman run", argv: always(podman("run", "--rm", "--network", "none", "--pids-limit", "-1", image)...)}
	runcs := &runner{name: "runc run", argv: r.bundled("runc")}
	bwraps := &runner{name: "bubblewrap", argv: always("bwrap", "--unshare-all", "--ro-bind", r.bundle+"/rootfs", "/",
		"--proc", "/proc", "--dev", "/dev", "/bin/true")}
	c := &runner{name: "C, the same clone", argv: always(*floor, r.bundle+"/rootfs", "/bin/true")}
	if err := race([]*runner{ours, dockers, podmans, runcs, bwraps, c}, *rounds); err != nil {
		return err
	}
	t.compare("`glassbox run --rm`", ours, dockers, 0.1, "≤ 1/10")
	t.compare("`glassbox run --rm`", ours, podmans, 0.1, "≤ 1/10")
	t.compare("`glassbox run --rm`", ours, runcs, 1, "≤ 1")
	t.compare("`glassbox run --rm`", ours, bwraps, 0, "")
	t.compare("`glassbox run --rm`", ours, c, 0, "")
	return nil
}

// bundled runs the bundle under a runtime; ids are never used twice.
func (r *rig) bundled(argv ...string) func(int) []string {
	return func(round int) []string {
		return append(argv, "run", "-b", r.bundle, fmt.Sprintf("%s-%d", filepath.Base(argv[0]), round))
	}
}

// list: ps with a thousand stopped containers.
func list(r *rig, t *table) error {
	const many = 1000
	image := r.address + "/true"
	if err := run(glassbox("pull", image)); err != nil {
		return err
	}
	var ids []string
	for range many {
		id, err := world.Output(*bin+"/glassbox", "create", image)
		if err != nil {
			return err
		}
		ids = append(ids, strings.TrimSpace(id))
	}
	running := &runner{name: "ps", argv: always(glassbox("ps")...)}
	all := &runner{name: "ps -a", argv: always(glassbox("ps", "-a")...)}
	if err := race([]*runner{running, all}, *rounds); err != nil {
		return err
	}
	for _, p := range []*runner{running, all} {
		t.add(fmt.Sprintf("`glassbox %s`, %d stopped containers", p.name, many), spread(p), "", "", "< 50 ms", p.median() < 50*time.Millisecond)
	}
	return run(glassbox(append([]string{"rm"}, ids...)...))
}

// monitors: what each running container costs in memory that nobody shares.
func monitors(r *rig, t *table) error {
	bb, err := world.Busybox()
	if err != nil {
		return err
	}
	if err := world.Push(bb, r.address+"/bb"); err != nil {
		return err
	}
	for _, name := range []string{"memory1", "memory2"} {
		if err := run(glassbox("run", "-d", "--name", name, "--network", "none", r.address+"/bb", "sleep", "1000")); err != nil {
			return err
		}
		defer run(glassbox("rm", "-f", name))
	}
	time.Sleep(2 * time.Second)
	sizes, err := privateDirty("monitor")
	if err != nil {
		return err
	}
	if len(sizes) != 2 {
		return fmt.Errorf("%d monitors are running, not 2", len(sizes))
	}
	shims, err := r.shims()
	if err != nil {
		return err
	}
	most := max(sizes[0], sizes[1])
	t.add("private dirty memory of a monitor, two running", fmt.Sprintf("%.2f MiB", mebibytes(most)),
		fmt.Sprintf("%.2f MiB (containerd-shim)", mebibytes(shims)), fmt.Sprintf("%.2f", float64(most)/float64(shims)), "≤ 1.5 MiB", mebibytes(most) <= 1.5)
	return nil
}

// shims is the same of Docker's counterpart.
func (r *rig) shims() (int, error) {
	if err := run([]string{r.docker.CLI, "pull", r.address + "/bb"}); err != nil {
		return 0, err
	}
	for _, name := range []string{"memory1", "memory2"} {
		if err := run([]string{r.docker.CLI, "run", "-d", "--name", name, "--network", "none", r.address + "/bb", "sleep", "1000"}); err != nil {
			return 0, err
		}
		defer run([]string{r.docker.CLI, "rm", "-f", name})
	}
	time.Sleep(2 * time.Second)
	sizes, err := privateDirty("containerd-shim")
	if err != nil || len(sizes) != 2 {
		return 0, errors.Join(err, fmt.Errorf("%d shims are running, not 2", len(sizes)))
	}
	return max(sizes[0], sizes[1]), nil
}

func mebibytes(kib int) float64 { return float64(kib) / 1024 }

// privateDirty returns the KiB of each process of this world whose program or first argument has this word in it.
func privateDirty(word string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var sizes []int
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		args := bytes.Split(line, []byte{0})
		if !bytes.Contains(bytes.Join(args[:min(2, len(args))], []byte{' '}), []byte(word)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		kib, err := smaps.PrivateDirty(pid)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, kib)
	}
	return sizes, nil
}
