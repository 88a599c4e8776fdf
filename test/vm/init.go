package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runInit is PID 1 of the machine. It comes back only to say what went wrong.
func runInit() error {
	return end(func(p plan) error {
		if err := complete(p); err != nil {
			return err
		}
		if p.Systemd {
			return becomeSystemd()
		}
		return carryOut(p)
	})
}

// runPlan carries out the plan below systemd.
func runPlan() error { return end(carryOut) }

// end ends the machine after do.
func end(do func(plan) error) error {
	var p plan
	text, err := os.ReadFile("/mnt/vm/plan.json")
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil {
		err = do(p)
	}
	if err != nil {
		fmt.Println("vm init:", err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // QEMU runs with -no-reboot
	return err
}

// becomeSystemd lets the host's systemd be PID 1. Its one unit is the plan: the host's own services stay where they are.
func becomeSystemd() error {
	const unit = `[Unit]
DefaultDependencies=no
[Service]
ExecStart=/mnt/vm/vm plan
StandardOutput=tty
TTYPath=/dev/ttyS0
PassEnvironment=PATH HOME
`
	if err := os.WriteFile("/etc/systemd/system/vm-plan.service", []byte(unit), 0o644); err != nil {
		return err
	}
	args := []string{"systemd", "--unit=vm-plan.service", "--log-target=console", "--log-level=warning"}
	return syscall.Exec("/lib/systemd/systemd", args, os.Environ())
}

// local is where the programs of a plan run from. A page of a program on 9p is fetched by a request that any signal
// interrupts, and the Go runtime sends itself many: the fault then ends in SIGBUS.
const local = "/mnt/scratch/programs"

// copyPrograms takes what the host built from the shared directory to local.
func copyPrograms() error {
	for _, pattern := range []string{"*.test", "bin/*"} {
		paths, err := filepath.Glob("/mnt/vm/" + pattern)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := copyFile(path, filepath.Join(local, strings.TrimPrefix(path, "/mnt/vm/")), 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

func carryOut(p plan) error {
	if err := copyPrograms(); err != nil {
		return err
	}
	out, err := openRelay("out")
	if err != nil {
		return err
	}
	errs, err := openRelay("err")
	if err != nil {
		return err
	}
	var s status
	for _, c := range p.Commands {
		exit := runPlanned(c, p, out.w, errs.w)
		if s.Exit == 0 {
			s.Exit = exit
		}
	}
	out.close()
	errs.close()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile("/mnt/vm/status.json", text, 0o644)
}

// complete mounts what a running Linux has, gives every controller to cgroup v2, and puts ext4 where programs keep state: 9p
// cannot bind unix sockets, reopen unlinked files or be overlay's upper directory.
func complete(p plan) error {
	mounts := []struct{ fs, at, data string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "ptmxmode=666"}, {"tmpfs", "/dev/shm", ""}, {"mqueue", "/dev/mqueue", ""},
		{"tmpfs", "/run", "mode=755"}, {"cgroup2", "/sys/fs/cgroup", ""}, {"bpf", "/sys/fs/bpf", ""},
		{"securityfs", "/sys/kernel/security", ""},
	}
	for _, m := range mounts {
		os.MkdirAll(m.at, 0o755)
		if err := unix.Mount(m.fs, m.at, m.fs, 0, m.data); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mounting %s on %s: %w", m.fs, m.at, err)
		}
	}
	if err := bind(p.Checkout, "/mnt/checkout", 0o755); err != nil {
		return err
	}
	for dir, mode := range map[string]os.FileMode{"/tmp": 0o1777, "/var/tmp": 0o1777, "/var/lib/glassbox": 0o755, "/run/glassbox": 0o755} {
		from := "/mnt/scratch" + dir
		if err := bind(from, dir, mode); err != nil {
			return err
		}
	}
	if err := bind("/mnt/checkout", p.Checkout, 0o755); err != nil { // it may lie below one of these
		return err
	}
	if err := bind(p.Modules, "/usr/lib/modules", 0o755); err != nil {
		return err
	}
	if p.Share != "" {
		if err := os.MkdirAll(p.Share, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("share", p.Share, "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=none"); err != nil {
			return fmt.Errorf("mounting the shared directory: %w", err)
		}
	}
	now := unix.Timeval{Sec: p.Time}
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	os.Setenv("PATH", p.Path)
	os.Setenv("HOME", "/root")
	if err := unix.Sethostname([]byte("vm")); err != nil {
		return err
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	return enableControllers()
}

func bind(from, to string, mode os.FileMode) error {
	for _, d := range []string{from, to} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(to, "/usr") {
		if err := unix.Chmod(from, uint32(mode.Perm())|uint32(mode&0o1000)); err != nil {
			return err
		}
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s to %s: %w", from, to, err)
	}
	return nil
}

func enableControllers() error {
	names, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(names)) {
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+"+c), 0); err != nil {
			return fmt.Errorf("enabling the controller %s: %w", c, err)
		}
	}
	return nil
}

// linkUp sets IFF_UP (netdevice(7)).
func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// relay copies a pipe to a serial port: the port can be opened only once, and programs open /dev/stdout again.
type relay struct {
	w    *os.File
	done sync.WaitGroup
}

func openRelay(name string) (*relay, error) {
	ports, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, p := range ports {
		text, _ := os.ReadFile(p)
		if strings.TrimSpace(string(text)) != name {
			continue
		}
		port, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(p)), os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		relay := &relay{w: w}
		relay.done.Go(func() { io.Copy(port, r); port.Close() })
		return relay, nil
	}
	return nil, fmt.Errorf("there is no serial port %q", name)
}

func (r *relay) close() {
	r.w.Close()
	finished := make(chan struct{})
	go func() { r.done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(3 * time.Second): // something in the background still holds the pipe
	}
}

// runPlanned runs one command and returns its exit status.
func runPlanned(c command, p plan, out, errs *os.File) int {
	if c.Test == "" {
		return execute(c, p, out, errs)
	}
	file, err := os.CreateTemp("", "test-output-")
	if err != nil {
		fmt.Fprintln(errs, "vm init:", err)
		return 1
	}
	defer file.Close()
	to := file
	if p.Verbose {
		to = out
	}
	start := time.Now()
	exit := execute(c, p, to, to)
	took := time.Since(start).Seconds()
	if exit != 0 && !p.Verbose {
		file.Seek(0, io.SeekStart)
		io.Copy(out, file)
	}
	verdict := "ok  "
	if exit != 0 {
		verdict = "FAIL"
	}
	fmt.Fprintf(out, "%s\t%s\t%.3fs\n", verdict, c.Test, took)
	return exit
}

// execute starts the command and reaps whatever ends, as PID 1 must, until it is the command.
func execute(c command, p plan, out, errs *os.File) int {
	path, err := exec.LookPath(c.Args[0])
	if err != nil {
		fmt.Fprintln(errs, "vm:", err)
		return 127
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		fmt.Fprintln(errs, "vm:", err)
		return 126
	}
	defer null.Close()
	env := slices.Concat(os.Environ(), []string{"GLASSBOX_RING=vm"}, c.Env)
	pid, err := syscall.ForkExec(path, c.Args, &syscall.ProcAttr{
		Dir: c.Dir, Env: env, Files: []uintptr{null.Fd(), out.Fd(), errs.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		fmt.Fprintf(errs, "vm: %s: %v\n", path, err)
		return 126
	}
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR || (err == nil && got != pid):
		case err != nil:
			fmt.Fprintln(errs, "vm: waiting:", err)
			return 126
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}
