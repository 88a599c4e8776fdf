package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Compile says which requests create the group for spec.Linux.CgroupsPath and set its limits. It refuses,
// with a *LimitError naming controller, cause and cure, what this host cannot set. Pure. Without any cgroup2 mount
// and without limits the group is empty and there is nothing to request.
func Compile(cgroupsPath string, r *specs.LinuxResources, f Facts) (Group, []program.Request, error) {
	l, err := compileLimits(r, f)
	if err != nil {
		return Group{}, nil, err
	}
	p, err := f.place(cgroupsPath)
	if err != nil || f.Mount == "" {
		return Group{}, nil, err
	}
	g := Group{Path: filepath.Join(f.Mount, p.group)}
	var out []program.Request
	if p.unit != "" {
		out = append(out, enterScope(f, p)...)
	} else {
		for _, dir := range ancestors(f.Mount, p.group)[1:] {
			out = append(out, makeParent(dir))
		}
	}
	controllers := l.controllers
	for _, c := range measuring {
		if slices.Contains(f.Controllers, c) && !slices.Contains(controllers, c) {
			controllers = append(controllers, c)
		}
	}
	out = append(out, handDown(f, p, controllers)...)
	out = append(out, makeGroup(g.Path))
	out = append(out, l.requests(g.Path)...)
	devices, err := deviceRequests(g.Path, r, attach)
	return g, append(out, devices...), err
}

// measuring is what a group has even without limits, where it can be had: memory.events tells who was killed for want of
// memory, and the rest is what `stats` shows.
var measuring = []string{"memory", "pids", "io"}

// Update says which requests give a living group new limits. What r leaves out stays as it is.
func (g Group) Update(r *specs.LinuxResources, f Facts) ([]program.Request, error) {
	l, err := compileLimits(r, f)
	if err != nil || g.Path == "" {
		return nil, err
	}
	rel, err := filepath.Rel(f.Mount, g.Path)
	if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
		return nil, fmt.Errorf("updating group %s: it is not below %s", g.Path, f.Mount)
	}
	p := place{group: "/" + rel}
	if strings.HasSuffix(filepath.Dir(rel), ".scope") {
		p.unit = filepath.Base(filepath.Dir(rel))
	}
	f.Sitting = nil
	out := append(g.checkMemory(r.Memory), handDown(f, p, l.controllers)...)
	out = append(out, l.requests(g.Path)...)
	devices, err := g.updateDevices(r)
	return append(out, devices...), err
}

// checkMemory refuses a limit below what is in use, where that is asked for: the kernel would kill until it fits.
func (g Group) checkMemory(m *specs.LinuxMemory) []program.Request {
	if m == nil || !value(m.CheckBeforeUpdate) || value(m.Limit) <= 0 {
		return nil
	}
	return []program.Request{{
		Call: fmt.Sprintf("read(%s)", strconv.Quote(filepath.Join(g.Path, "memory.current"))),
		From: "linux.resources.memory.checkBeforeUpdate",
		Why:  "a limit below what is in use would have the kernel kill until it fits",
		Do: func() error {
			if used, ok := g.number("memory.current"); ok && used > uint64(*m.Limit) {
				return fmt.Errorf("rejecting memory limit %d < usage %d", *m.Limit, used)
			}
			return nil
		},
	}}
}

// handDown enables controllers in every group above ours: a group has the files of those controllers only that its
// parent names in cgroup.subtree_control.
func handDown(f Facts, p place, controllers []string) []program.Request {
	if len(controllers) == 0 {
		return nil
	}
	controllers = slices.Clone(controllers)
	slices.Sort(controllers)
	var out []program.Request
	if p.unit == "" {
		out = moveSitting(f)
	}
	data := "+" + strings.Join(controllers, " +")
	for _, dir := range f.handing(p) {
		path := filepath.Join(dir, "cgroup.subtree_control")
		out = append(out, program.Request{
			Call: writeCall(path, data),
			From: "linux.resources",
			Why:  fmt.Sprintf("groups below %s shall have the files of these controllers", dir),
			Do:   func() error { return explainBusy(dir, writeFile(path, data)) },
		})
	}
	return out
}

// moveSitting empties the root of a cgroup namespace into a leaf: a group with processes of its own cannot
// hand controllers down, except for the hierarchy's true root. The processes there are those of the container or unit that
// we run in, so their place is ours to choose.
func moveSitting(f Facts) []program.Request {
	if len(f.Sitting) == 0 {
		return nil
	}
	leaf := filepath.Join(f.Mount, "init")
	out := []program.Request{makeParent(leaf)}
	for _, pid := range f.Sitting {
		path, data := filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(pid)
		out = append(out, program.Request{
			Call: writeCall(path, data),
			Why:  fmt.Sprintf("process %d sits in %s, and a group with processes cannot hand controllers down (no internal processes)", pid, f.Mount),
			Do: func() error {
				if err := writeFile(path, data); !errors.Is(err, unix.ESRCH) {
					return err
				}
				return nil
			},
		})
	}
	return out
}

func makeParent(dir string) program.Request {
	return program.Request{
		Call: mkdirCall(dir),
		From: "linux.cgroupsPath",
		Why:  "the group above the container's; it may be there already, and stays for the next container",
		Do: func() error {
			err := unix.Mkdir(dir, 0o755)
			if err == unix.EEXIST {
				return program.Tolerated{Errno: unix.EEXIST}
			}
			if err != nil {
				return fmt.Errorf("making group %s: %w", dir, err)
			}
			return nil
		},
	}
}

func makeGroup(dir string) program.Request {
	return program.Request{
		Call: mkdirCall(dir),
		From: "linux.cgroupsPath",
		Why:  "the container's group: to limit, measure, freeze and kill all its processes as one",
		Do:   func() error { return mkdirFresh(dir) },
		Undo: func() error { return Group{Path: dir}.Remove() },
	}
}

// mkdirFresh replaces what an earlier container of this name left behind, but takes over no group with processes.
func mkdirFresh(dir string) error {
	err := unix.Mkdir(dir, 0o755)
	if err == unix.EEXIST {
		g := Group{Path: dir}
		if procs, _ := g.Procs(); len(procs) > 0 {
			return fmt.Errorf("making group %s: it is in use by processes %v: %w", dir, procs, err)
		}
		if err := g.Remove(); err != nil {
			return err
		}
		err = unix.Mkdir(dir, 0o755)
	}
	if err != nil {
		return &os.PathError{Op: "making group", Path: dir, Err: err}
	}
	return nil
}
