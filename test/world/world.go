// Package world runs tests in namespaces of their own, so that whatever they start, mount, route or limit ends with them
// and the machine's own interfaces, firewall, mounts and processes are never touched.
//
// A program calls Run first thing in main (or TestMain) and is then three processes:
//
//	outside   makes a cgroup and a directory, starts init, waits, kills what is left in the cgroup, removes both
//	init      PID 1 of a new PID namespace: reaps; when it ends, the kernel kills every process in there
//	inside    new mount, network and cgroup namespaces: the caller's function runs here
package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	phaseVar = "GLASSBOX_WORLD"
	dirVar   = "GLASSBOX_WORLD_DIR"
)

// Dir is the world's directory, removed when the world ends; empty outside.
func Dir() string { return os.Getenv(dirVar) }

// Run calls before outside, with the machine's network, and then inside in the new world; it returns the exit status.
func Run(before func(dir string) error, inside func() int) int {
	var status int
	var err error
	switch os.Getenv(phaseVar) {
	case "":
		status, err = outside(before)
	case "init":
		status, err = initial()
	default:
		if err = furnish(); err == nil {
			return inside()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		return 1
	}
	return status
}

// Bare calls both on the machine itself: on a VM, which is a world of its own, and where systemd is to be seen.
func Bare(before func(dir string) error, inside func() int) int {
	dir, err := os.MkdirTemp("", "glassbox-world-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = errors.Join(os.Setenv(dirVar, dir), before(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		return 1
	}
	return inside()
}

func outside(before func(dir string) error) (int, error) {
	dir, err := os.MkdirTemp("", "glassbox-world-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := before(dir); err != nil {
		return 0, err
	}
	group, err := newGroup()
	if err != nil {
		return 0, err
	}
	defer removeGroup(group)
	fd, err := os.Open(group)
	if err != nil {
		return 0, err
	}
	defer fd.Close()
	// The parent-death signal follows the thread that forked (prctl(2)), so that thread must live as long as we do.
	runtime.LockOSThread()
	child := again("init", dir)
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL, UseCgroupFD: true, CgroupFD: int(fd.Fd()),
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := child.Start(); err != nil {
		return 0, fmt.Errorf("starting the world's init: %w", err)
	}
	go func() {
		<-stop
		child.Process.Kill()
	}()
	return exitStatus(child.Wait())
}

func again(phase, dir string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), phaseVar+"="+phase, dirVar+"="+dir)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return c
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if exit.ExitCode() < 0 {
			return 1, fmt.Errorf("the world ended: %w", err)
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// initial is PID 1: it waits for its one child and reaps what daemons leave behind.
func initial() (int, error) {
	c := again("inside", Dir())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP}
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("starting inside: %w", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("waiting: %w", err)
		}
		if pid == c.Process.Pid {
			if status.Signaled() {
				return 0, fmt.Errorf("inside ended by %v", status.Signal())
			}
			return status.ExitStatus(), nil
		}
	}
}

// newGroup makes a cgroup below our own in the v2 hierarchy, wherever that is mounted.
func newGroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if left, right, _ := strings.Cut(line, " - "); strings.HasPrefix(right, "cgroup2 ") {
			_, path, _ := strings.Cut(string(own), "0::")
			path, _, _ = strings.Cut(path, "\n")
			group := filepath.Join(strings.Fields(left)[4], path, fmt.Sprintf("glassbox-world-%d", os.Getpid()))
			return group, os.Mkdir(group, 0o755)
		}
	}
	return "", errors.New("no cgroup2 file system is mounted")
}

// removeGroup kills what is left in the group and removes it with all below it.
func removeGroup(group string) {
	os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var groups []string
		filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		for i := len(groups) - 1; i >= 0; i-- {
			os.Remove(groups[i])
		}
		if _, err := os.Stat(group); err != nil {
			return
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "world: cgroup %s is still busy\n", group)
			return
		}
	}
}

// furnish gives the new namespaces what a machine has: /proc, /sys and /sys/fs/cgroup that show them, an empty /run, lo up.
func furnish() error {
	os.Setenv(phaseVar, "furnished")
	type mount struct {
		source, target, kind string
		flags                uintptr
	}
	for _, m := range []mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"tmpfs", "/run", "tmpfs", 0},
		{"proc", "/proc", "proc", 0},
		// dockerd raises kernel.keys.root_maxkeys, which belongs to the whole machine.
		{"/proc/sys/kernel/keys", "/proc/sys/kernel/keys", "", unix.MS_BIND},
		{"", "/proc/sys/kernel/keys", "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
		// A user namespace may mount proc only where an unmasked one is in sight (mount_too_revealing).
		{"proc", "/run/proc", "proc", 0},
		{"sysfs", "/sys", "sysfs", 0},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", 0},
	} {
		switch m.target {
		case "/sys":
			if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmounting /sys: %w", err)
			}
		case "/run/proc":
			os.Mkdir(m.target, 0o755)
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.target, err)
		}
	}
	if err := leaveRootGroup(); err != nil {
		return err
	}
	return loopbackUp()
}

// leaveRootGroup moves this process to a leaf: a group with processes cannot give controllers to its children (cgroups(7),
// "no internal processes").
func leaveRootGroup() error {
	const root = "/sys/fs/cgroup"
	if err := os.Mkdir(root+"/init", 0o755); err != nil {
		return err
	}
	procs, err := os.ReadFile(root + "/cgroup.procs")
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(procs)) {
		if err := os.WriteFile(root+"/init/cgroup.procs", []byte(pid), 0); err != nil {
			return fmt.Errorf("moving process %s: %w", pid, err)
		}
	}
	controllers, err := os.ReadFile(root + "/cgroup.controllers")
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(root+"/cgroup.subtree_control", []byte("+"+c), 0); err != nil {
			return fmt.Errorf("enabling %s: %w", c, err)
		}
	}
	return nil
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}
