package monitor

import (
	"os"

	"glassbox/runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The container's standard streams are FIFOs in the state directory, and who holds which end decides what happens when
// the monitor is killed (fifo(7), pipe(7)):
//
//   - stdout and stderr: the container's descriptor is open for reading and writing. So the pipe always has a reader: a write
//     never meets SIGPIPE, what is written while there is no monitor stays in the pipe, and when that is full the container waits.
//     The monitor's descriptor is open for reading only, so it sees end-of-file as soon as the last
//     process of the container has closed its own.
//   - stdin: the monitor's end is the only writer, because end-of-file must be possible. So when the monitor is killed, a container
//     that reads its input at that time sees its end; one that does not, does not notice: the adopter opens it again.
//   - a terminal has no name through which its master could be opened again. When the monitor is killed, the kernel hangs
//     up: SIGHUP for the session in it, EIO after that. That is what a closed terminal window does, too.

var fifos = []string{"stdin", "stdout", "stderr"}

// connect makes the FIFOs and opens both ends: ours go into p, the container's into o, unless it has a terminal.
func (m *monitor) connect(p *process, o *runtime.Options) (err error) {
	if m.spec.Process.Terminal {
		return nil
	}
	uid, gid := int(m.spec.Process.User.UID), int(m.spec.Process.User.GID)
	if l := m.spec.Linux; l != nil {
		uid, gid = hostOwner(m.spec.Process.User, l.UIDMappings, l.GIDMappings)
	}
	for _, name := range fifos {
		if err := makeFifo(m.path(name), uid, gid); err != nil {
			return err
		}
	}
	if o.Stdin, err = m.connectInput(p); err != nil {
		return err
	}
	if o.Stdout, err = m.connectOutput(p, Stdout, "stdout"); err != nil {
		return err
	}
	o.Stderr, err = m.connectOutput(p, Stderr, "stderr")
	return err
}

// connectInput returns the container's end of stdin. It is opened without waiting for a writer, and waits from then on.
func (m *monitor) connectInput(p *process) (*os.File, error) {
	if !m.config.OpenStdin {
		return os.Open(os.DevNull)
	}
	theirs, err := openFile(m.path("stdin"), unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(theirs, false); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := m.openInput(p); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(theirs), "stdin"), nil
}

func (m *monitor) openInput(p *process) error {
	fd, err := openFile(m.path("stdin"), unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	p.in = &input{fd: fd}
	return nil
}

func (m *monitor) connectOutput(p *process, kind byte, name string) (*os.File, error) {
	if err := m.openOutput(p, kind, name); err != nil {
		return nil, err
	}
	theirs, err := openFile(m.path(name), unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(theirs), name), nil
}

func (m *monitor) openOutput(p *process, kind byte, name string) error {
	fd, err := openFile(m.path(name), unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	p.outputs = append(p.outputs, &output{p: p, kind: kind, fd: fd, log: m.lines(name, p)})
	return nil
}

// makeFifo gives the FIFO to the container's user, who may open it again as /dev/stdout.
func makeFifo(path string, uid, gid int) error {
	unix.Unlink(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	if err := unix.Chown(path, uid, gid); err != nil {
		return &os.PathError{Op: "chown", Path: path, Err: err}
	}
	return nil
}

func openFile(path string, flags int) (int, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// hostOwner is the container's user as the host sees it.
func hostOwner(u specs.User, uids, gids []specs.LinuxIDMapping) (uid, gid int) {
	return hostID(u.UID, uids), hostID(u.GID, gids)
}

func hostID(id uint32, maps []specs.LinuxIDMapping) int {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return int(m.HostID + id - m.ContainerID)
		}
	}
	return int(id)
}
