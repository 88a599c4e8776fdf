package view

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// held is a process's directory in /proc, kept open: what is read through it is this process's, or an error once it has ended, even if
// its number has been given to another one since.
type held struct {
	pid  int
	dir  *os.File
	stat []string // proc_pid_stat(5), from the third field on
}

// hold opens the directory. "self" is the process that looks, which stands for the host.
func hold(pid string) (*held, error) {
	dir, err := os.OpenFile("/proc/"+pid, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	h := &held{dir: dir}
	if err := h.again(); err != nil {
		dir.Close()
		return nil, err
	}
	return h, nil
}

func (h *held) close() { h.dir.Close() }

// again reads the process's state once more.
func (h *held) again() error {
	data, err := h.read("stat")
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(data, " ")
	h.pid, _ = strconv.Atoi(number)
	h.stat = strings.Fields(data[strings.LastIndexByte(data, ')')+1:]) // the name before it may hold anything
	if h.pid == 0 || len(h.stat) < 20 {
		return fmt.Errorf("reading /proc/%d/stat: it is too short", h.pid)
	}
	return nil
}

func (h *held) state() string { return h.stat[0] }

func (h *held) parent() int {
	n, _ := strconv.Atoi(h.stat[1])
	return n
}

// began is in clock ticks since the boot.
func (h *held) began() uint64 {
	n, _ := strconv.ParseUint(h.stat[19], 10, 64)
	return n
}

// alive: the process has not ended. A zombie has.
func (h *held) alive() bool { return h.again() == nil && h.state() != "Z" && h.state() != "X" }

// most bounds what is read of one file: a process chooses the length of its command line.
const most = 4 << 20

func (h *held) read(name string) (string, error) {
	fd, err := unix.Openat(int(h.dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: h.dir.Name() + "/" + name, Err: err}
	}
	f := os.NewFile(uintptr(fd), h.dir.Name()+"/"+name)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}

func (h *held) link(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(h.dir.Fd()), name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: h.dir.Name() + "/" + name, Err: err}
	}
	return string(buf[:n]), nil
}

// path leads to a file of the process's directory.
func (h *held) path(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(int(h.dir.Fd())) + "/" + name
}

// status is proc_pid_status(5), by its labels.
func (h *held) status() (map[string]string, error) {
	text, err := h.read("status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		label, value, _ := strings.Cut(line, ":")
		fields[label] = strings.TrimSpace(value)
	}
	return fields, nil
}

// command is what the process was executed with; in brackets its name alone, where it has no command line: a zombie, or a thread of the kernel.
func (h *held) command(name string) string {
	data, err := h.read("cmdline")
	if words := bytes.TrimRight([]byte(data), "\x00"); err == nil && len(words) > 0 {
		return strings.ReplaceAll(string(words), "\x00", " ")
	}
	return "[" + name + "]"
}
