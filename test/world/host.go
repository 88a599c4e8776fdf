package world

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Host is a machine of its own in the world as far as network and mounts go: namespaces with lo up, an empty /run, and /proc and
// /sys that show them. A process holds them. The nil *Host is the world itself.
type Host struct {
	Name   string
	holder *exec.Cmd
	hold   io.Closer
}

// NewHost makes a host with nothing but lo.
func NewHost(name string) (*Host, error) {
	h := &Host{Name: name, holder: exec.Command("/proc/self/exe", os.Args[1:]...)}
	h.holder.Env = append(os.Environ(), phaseVar+"=host")
	h.holder.Stderr = os.Stderr
	h.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Setsid: true}
	hold, err := h.holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.hold = hold
	out, err := h.holder.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.holder.Start(); err != nil {
		return nil, fmt.Errorf("starting host %s: %w", name, err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		h.Close()
		return nil, fmt.Errorf("host %s did not come up: %w", name, err)
	}
	return h, nil
}

// holdHost is the holder's whole life.
func holdHost() (int, error) {
	if err := furnishMounts(); err != nil {
		return 1, err
	}
	if err := loopbackUp(); err != nil {
		return 1, err
	}
	fmt.Println("up")
	_, err := io.Copy(io.Discard, os.Stdin)
	return 0, err
}

// Close lets go of the host; what still runs there keeps its namespaces.
func (h *Host) Close() {
	h.hold.Close()
	h.holder.Wait()
}

// Pid is a process whose namespaces are the host's.
func (h *Host) Pid() int { return h.holder.Process.Pid }

// Enter is the command line that runs another one on the host, in directory dir.
func (h *Host) Enter(dir string, args ...string) []string {
	if h == nil {
		return args
	}
	pid := strconv.Itoa(h.Pid())
	return append([]string{"/usr/bin/nsenter", "--target", pid, "--net", "--mount", "--wdns=" + dir, "--"}, args...)
}

// Output is the package's Output, on the host.
func (h *Host) Output(name string, args ...string) (string, error) {
	words := h.Enter("/", append([]string{name}, args...)...)
	return Output(words[0], words[1:]...)
}

// Start is the package's Start, on the host.
func (h *Host) Start(ready func() error, name string, args ...string) (*Process, error) {
	log := filepath.Base(name)
	if h != nil {
		log = h.Name + "-" + log
	}
	return start(log, ready, h.Enter("/", append([]string{name}, args...)...))
}

// Replace puts text in the place of a file, for this host alone.
func (h *Host) Replace(path, text string) error {
	file := filepath.Join(Dir(), h.Name+"-"+filepath.Base(path))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	_, err := h.Output("mount", "--bind", file, path)
	return err
}

// Cable connects two hosts, as eth0 on each; the second is the first's way to everywhere else.
func Cable(a, b *Host, addressesA, addressesB []string) error {
	if _, err := a.Output("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(b.Pid())); err != nil {
		return err
	}
	for _, end := range []struct {
		host      *Host
		addresses []string
	}{{a, addressesA}, {b, addressesB}} {
		for _, address := range end.addresses {
			if _, err := end.host.Output("ip", "address", "add", address, "dev", "eth0", "nodad"); err != nil {
				return err
			}
		}
		if _, err := end.host.Output("ip", "link", "set", "eth0", "up"); err != nil {
			return err
		}
	}
	for _, address := range addressesB {
		gateway, _, _ := strings.Cut(address, "/")
		if _, err := a.Output("ip", "route", "add", "default", "via", gateway); err != nil {
			return err
		}
	}
	return nil
}
