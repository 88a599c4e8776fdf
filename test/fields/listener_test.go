package fields

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unsafe"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// agent answers for the kernel: every call that it is asked about is ENODATA. (No package net: the probe would not be static.)
type agent struct {
	socket int
	told   chan specs.ContainerProcessState
}

func newAgent(t *testing.T, path string) *agent {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 8),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(bundle.Patience.Seconds())}))
	if err != nil {
		t.Fatal(err)
	}
	return &agent{fd, make(chan specs.ContainerProcessState, 2)}
}

// receive takes one descriptor and what is told with it.
func (a *agent) receive() (s specs.ContainerProcessState, listener int, err error) {
	c := -1
	if err := retried(func() (err error) { c, _, err = unix.Accept4(a.socket, unix.SOCK_CLOEXEC); return err }); err != nil {
		return s, -1, err
	}
	defer unix.Close(c)
	text, control := make([]byte, 1<<16), make([]byte, 64)
	var n, m int
	if err := retried(func() (err error) {
		n, m, _, _, err = unix.Recvmsg(c, text, control, unix.MSG_CMSG_CLOEXEC)
		return err
	}); err != nil {
		return s, -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:m])
	if err != nil || len(messages) != 1 {
		return s, -1, errors.Join(errors.New("no descriptor came along"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return s, -1, err
	}
	return s, fds[0], json.Unmarshal(text[:n], &s)
}

// retried: the Go runtime's signals interrupt calls that have a time limit, signal(7).
func retried(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// answer answers until the last process of one filter is gone.
func (a *agent) answer() error {
	s, fd, err := a.receive()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	a.told <- s
	return refuse(fd)
}

// refuse is what seccomp_unotify(2) calls the supervisor.
func refuse(fd int) error {
	const receive, send = 0xc0502100, 0xc0182101 // SECCOMP_IOCTL_NOTIF_RECV and _SEND
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, int(bundle.Patience.Milliseconds())); err == unix.EINTR {
			continue
		} else if n != 1 || err != nil {
			return errors.Join(errors.New("nobody asks, and nobody has ended"), err)
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			return nil // POLLHUP
		}
		var question [80]byte
		if err := ioctl(fd, receive, question[:]); err == unix.ENOENT || err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		var answer [24]byte
		copy(answer[:8], question[:8])
		no := -int32(unix.ENODATA)
		binary.NativeEndian.PutUint32(answer[16:], uint32(no))
		if err := ioctl(fd, send, answer[:]); err != nil && err != unix.ENOENT {
			return err
		}
	}
}

func ioctl(fd int, request uintptr, b []byte) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&b[0]))); errno != 0 {
		return errno
	}
	return nil
}

// listened is a bundle whose filter asks the agent about getppid.
func listened(t *testing.T) (*box, *agent) {
	b := newBox(t)
	a := newAgent(t, b.Path("agent.sock"))
	b.Spec.Annotations = map[string]string{"colour": "blue"}
	b.Spec.Linux.Seccomp = profile(rule(specs.ActNotify, "getppid"))
	b.Spec.Linux.Seccomp.ListenerPath, b.Spec.Linux.Seccomp.ListenerMetadata = b.Path("agent.sock"), "about getppid"
	b.Spec.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}
	b.Spec.Process.Args = words("probe call getppid getpid")
	return b, a
}

func (a *agent) check(t *testing.T, b *box, status specs.ContainerState) {
	t.Helper()
	var s specs.ContainerProcessState
	select {
	case s = <-a.told:
	case <-time.After(bundle.Patience):
		t.Fatal("the agent was told of nobody")
	}
	if len(s.Fds) != 1 || s.Fds[0] != "seccompFd" || s.Metadata != "about getppid" || s.Pid == 0 || s.Version == "" {
		t.Errorf("the process state is %+v", s)
	}
	if s.State.ID != b.ID || s.State.Bundle != b.Dir || s.State.Status != status || s.State.Pid == 0 || s.State.Annotations["colour"] != "blue" {
		t.Errorf("the container's state in it is %+v, want id %s, bundle %s, status %s", s.State, b.ID, b.Dir, status)
	}
}

func TestSeccompListener(t *testing.T) {
	need.SecondKernel(t)
	t.Parallel()
	b, a := listened(t)
	b.Write(t)
	served := make(chan error, 1)
	go func() { served <- a.answer() }()
	row{prints: "getppid ENODATA\ngetpid ok"}.judge(t, glassrun(t, "run", "--bundle", b.Dir, b.ID))
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	a.check(t, b, specs.StateCreated)
}

// The container is started by another process than the one that created it; then comes an exec, with a filter and a descriptor of its own.
func TestSeccompListenerOfStartAndExec(t *testing.T) {
	need.SecondKernel(t)
	t.Parallel()
	b, a := listened(t)
	b.Spec.Process.Args = []string{"probe", "wait"}
	b.Write(t)
	root := "--root=" + b.Path("state")
	served := make(chan error, 2)
	for range cap(served) {
		go func() { served <- a.answer() }()
	}
	defer glassrun(t, root, "delete", "--force", b.ID)
	row{}.judge(t, glassrun(t, root, "create", "--bundle", b.Dir, b.ID))
	row{}.judge(t, glassrun(t, root, "start", b.ID))
	a.check(t, b, specs.StateCreated)
	row{prints: "getppid ENODATA\ngetpid ok"}.judge(t, glassrun(t, root, "exec", b.ID, "probe", "call", "getppid", "getpid"))
	a.check(t, b, specs.StateRunning)
	glassrun(t, root, "delete", "--force", b.ID)
	for range cap(served) {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// A listener that ends before it has answered leaves the kernel's answer: ENOSYS.
func TestSeccompListenerDies(t *testing.T) {
	need.SecondKernel(t)
	t.Parallel()
	b, a := listened(t)
	b.Write(t)
	go func() {
		if _, fd, err := a.receive(); err == nil {
			unix.Close(fd)
		}
	}()
	row{prints: "getppid ENOSYS\ngetpid ok"}.judge(t, glassrun(t, "run", "--bundle", b.Dir, b.ID))
}
