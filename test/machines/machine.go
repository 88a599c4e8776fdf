// Package machines makes hosts for tests out of namespaces: each has a network, processes, mounts, a /run, a hostname and a
// resolv.conf of its own, and veth pairs are the cables between them. They live inside a world (test/world), which removes whatever
// they leave, and share nothing with the machine's own network.
package machines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

// Machine is one host. Root, below which its engine keeps data, survives Reboot; /run does not.
type Machine struct {
	Name string
	Dir  string   // what belongs to it: root/ resolv.conf hosts
	Env  []string // of every command
	init *exec.Cmd
}

// New starts a machine with loopback up and no other interface.
func New(name string) (*Machine, error) {
	if world.Dir() == "" {
		return nil, errors.New("machines live in a world: call world.Run first")
	}
	dir, err := os.MkdirTemp(world.Dir(), name+"-")
	if err != nil {
		return nil, err
	}
	m := &Machine{Name: name, Dir: dir}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(m.Root(), 0o755)); err != nil {
		return nil, err
	}
	m.Env = append(os.Environ(), "GLASSBOX_ROOT="+m.Root(), "GLASSBOX_RUN=/run/glassbox", "HOME="+m.Dir)
	for file, text := range map[string]string{
		"resolv.conf": "",
		"hosts":       "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + name + "\n",
	} {
		if err := os.WriteFile(m.Dir+"/"+file, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return m, m.Boot()
}

// Root is where glassbox keeps what survives a reboot.
func (m *Machine) Root() string { return m.Dir + "/root" }

// Boot starts the machine: an init that reaps, in namespaces of its own.
func (m *Machine) Boot() error {
	// Without the variable a subreaper's children would be reaped by the wrong process: tini(1) is PID 1 here.
	m.init = exec.Command("/usr/bin/tini-static", "--", "sleep", "infinity")
	m.init.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Setsid:     true,
	}
	if err := m.init.Start(); err != nil {
		return fmt.Errorf("starting machine %s (make test installs tini): %w", m.Name, err)
	}
	if out, err := m.Output("sh", "-ec", furnish, "sh", m.Dir, m.Name); err != nil {
		m.Halt()
		return fmt.Errorf("furnishing machine %s: %w%s", m.Name, err, out)
	}
	return nil
}

// furnish mounts what shows the new namespaces. A second proc is in sight so that user namespaces may mount one
// (mount_too_revealing), and dockerd cannot raise kernel.keys, which belongs to the whole machine.
const furnish = `
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t proc proc /proc
mount --bind /proc/sys/kernel/keys /proc/sys/kernel/keys
mount -o remount,bind,ro /proc/sys/kernel/keys
mkdir /run/proc; mount -t proc proc /run/proc
umount -l /sys; mount -t sysfs sysfs /sys; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /dev/shm
for file in resolv.conf hosts; do
	target=$(readlink -m /etc/$file)
	mkdir -p "${target%/*}"
	[ -e "$target" ] || : >"$target"
	mount --bind "$1/$file" "$target"
done
hostname "$2"
ip link set lo up`

// Halt ends the machine at once, with every process in it: what was not on a disk is lost.
func (m *Machine) Halt() {
	m.init.Process.Kill()
	m.init.Wait()
}

// Reboot loses processes, mounts, /run and network, as a power failure does; cables are to be plugged anew.
func (m *Machine) Reboot() error {
	m.Halt()
	removeEmptyGroups()
	return m.Boot()
}

// removeEmptyGroups takes away the cgroups of containers that ended with their machine: a reboot leaves none.
func removeEmptyGroups() {
	var groups []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "/sys/fs/cgroup" && path != "/sys/fs/cgroup/init" {
			groups = append(groups, path)
		}
		return nil
	})
	for i := len(groups) - 1; i >= 0; i-- {
		os.Remove(groups[i]) // one with processes stays
	}
}

// Pid is the machine's first process, as the test sees it.
func (m *Machine) Pid() int { return m.init.Process.Pid }

// Nameservers writes the machine's resolv.conf.
func (m *Machine) Nameservers(lines ...string) error {
	return os.WriteFile(m.Dir+"/resolv.conf", []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// Enter runs f on a thread of its own in the machine's namespaces; a process that f starts is the machine's.
func (m *Machine) Enter(f func() error) error {
	return onThread(func() error {
		if err := m.join(unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC); err != nil {
			return err
		}
		return f()
	})
}

// EnterNetwork does so with the network alone: for sockets and netlink.
func (m *Machine) EnterNetwork(f func() error) error {
	return onThread(func() error {
		if err := m.join(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (m *Machine) join(namespaces int) error {
	// setns(2): a mount namespace is joined only by who shares its root and working directory with nobody.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unsharing the working directory: %w", err)
	}
	fd, err := unix.PidfdOpen(m.Pid(), 0)
	if err != nil {
		return fmt.Errorf("finding machine %s: %w", m.Name, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, namespaces); err != nil {
		return fmt.Errorf("entering machine %s: %w", m.Name, err)
	}
	return nil
}

// onThread runs f on a thread that ends with it. It must not be the process's first one: that never ends, and /proc/self shows it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}
