package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// machine is one run.
type machine struct {
	CPUs, Memory int
	Timeout      time.Duration
	Share        string
	Console      bool
	Plan         plan
	env          list   // of tests
	run          string // the directory shared with the machine
}

// plan is what the machine does.
type plan struct {
	Commands []command
	Share    string // where to mount the shared directory
	Checkout string // the module's directory, which stays visible wherever it lies
	Modules  string // what becomes /lib/modules
	Path     string
	Time     int64 // seconds: the machine has no clock of its own
	CPUs     int
	Verbose  bool
	Systemd  bool // PID 1 is systemd
}

// command is one program to run. With a Test name its output is shown as `go test` shows it.
type command struct {
	Dir  string
	Args []string
	Env  []string
	Test string
}

// status is what the machine leaves.
type status struct{ Exit int }

// open makes the run's directory, so that the caller can put files there; close removes it.
func (m *machine) open() (err error) {
	if m.run == "" {
		m.run, err = os.MkdirTemp("", "glassbox-vm-")
	}
	return err
}

func (m *machine) close() { os.RemoveAll(m.run) }

// boot runs the plan and returns the exit status of its last command, or of the first that failed.
func (m *machine) boot() (int, error) {
	img, err := prepare()
	if err != nil {
		return 1, err
	}
	if err := m.open(); err != nil {
		return 1, err
	}
	defer m.close()
	if err := m.furnish(img); err != nil {
		return 1, err
	}
	if err := m.qemu(img); err != nil {
		return 1, err
	}
	text, err := os.ReadFile(filepath.Join(m.run, "status.json"))
	if err != nil {
		console, _ := os.ReadFile(filepath.Join(m.run, "console"))
		return 1, fmt.Errorf("the machine died without a status; its console said:\n%s", tail(console, 4000))
	}
	var s status
	if err := json.Unmarshal(text, &s); err != nil {
		return 1, err
	}
	return s.Exit, nil
}

// furnish fills the run's directory: this program, the plan, and a scratch disk.
func (m *machine) furnish(img *image) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := copyFile(self, filepath.Join(m.run, "vm"), 0o755); err != nil {
		return err
	}
	if m.Plan.Checkout, err = moduleRoot(); err != nil {
		return err
	}
	m.Plan.Share, m.Plan.Modules, m.Plan.CPUs = m.Share, img.modules, m.CPUs
	m.Plan.Path, m.Plan.Time = os.Getenv("PATH"), time.Now().Unix()
	text, err := json.Marshal(m.Plan)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.run, "plan.json"), text, 0o644); err != nil {
		return err
	}
	disk := filepath.Join(m.run, "disk")
	if err := os.WriteFile(disk, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(disk, 8<<30); err != nil {
		return err
	}
	_, err = output("", "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", disk)
	return err
}

// arguments is the command line, as tried out: see the measurements in the project's notes on it.
func (m *machine) arguments(img *image) []string {
	// acpi=off is quickest, and silently gives one CPU.
	firmware := "acpi=off"
	if m.CPUs > 1 {
		firmware = "pci=noacpi"
	}
	args := []string{
		"-accel", "tcg,thread=multi", "-cpu", "max,-la57", "-smp", strconv.Itoa(m.CPUs), "-m", strconv.Itoa(m.Memory),
		"-M", "pc,usb=off,vmport=off", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", img.kernel, "-initrd", img.initrd,
		"-append", "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check lpj=8000000 mitigations=off nokaslr " +
			"cryptomgr.notests audit=0 random.trust_cpu=on i8042.noaux i8042.nokbd rodata=off init_on_alloc=0 " + firmware,
		"-drive", "file=" + filepath.Join(m.run, "disk") + ",if=none,id=d0,format=raw,cache=unsafe",
		"-device", "virtio-blk-pci,drive=d0",
		"-serial", "file:" + filepath.Join(m.run, "console"),
		"-device", "virtio-serial-pci",
		"-chardev", "file,id=out,path=/dev/fd/3", "-device", "virtserialport,chardev=out,name=out",
		"-chardev", "file,id=err,path=/dev/fd/4", "-device", "virtserialport,chardev=err,name=err",
	}
	args = append(args, export("root", "/", "security_model=none,readonly=on")...)
	args = append(args, export("run", m.run, "security_model=passthrough")...)
	if m.Share != "" {
		args = append(args, export("share", m.Share, "security_model=passthrough")...)
	}
	return args
}

// export is a directory over 9p.
func export(tag, dir, options string) []string {
	return []string{
		"-fsdev", fmt.Sprintf("local,id=%s,path=%s,multidevs=remap,%s", tag, dir, options),
		"-device", fmt.Sprintf("virtio-9p-pci,fsdev=%s,mount_tag=%s", tag, tag),
	}
}

// qemu runs the machine until it ends itself, its time is up or we are interrupted.
func (m *machine) qemu(img *image) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	runtime.LockOSThread() // the parent-death signal follows the thread that forked (prctl(2))
	defer runtime.UnlockOSThread()
	c := exec.CommandContext(ctx, "qemu-system-x86_64", m.arguments(img)...)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var copies sync.WaitGroup
	for _, to := range []*os.File{os.Stdout, os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer w.Close()
		c.ExtraFiles = append(c.ExtraFiles, w)
		copies.Go(func() { io.Copy(to, r); r.Close() })
	}
	err := c.Start()
	for _, w := range c.ExtraFiles {
		w.Close()
	}
	if err == nil {
		err = c.Wait()
	}
	copies.Wait()
	if m.Console {
		console, _ := os.ReadFile(filepath.Join(m.run, "console"))
		os.Stderr.Write(console)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the machine was ended after %v", m.Timeout)
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case err != nil:
		return fmt.Errorf("running qemu: %w", err)
	}
	return nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
