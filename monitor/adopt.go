package monitor

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"glassbox/cgroups"

	"golang.org/x/sys/unix"
)

// adopt takes over a container whose monitor was killed. A container that is gone, too, is recorded as ended, and the
// end as not observed.
func (m *monitor) adopt() error {
	if err := m.open(100 * time.Millisecond); err != nil { // somebody else was quicker
		return err
	}
	s, err := ReadState(m.config.StateFile)
	if err != nil {
		return err
	}
	if s.Status != Running && s.Status != Created && s.Status != Restarting {
		return fmt.Errorf("container %s is %s: there is nothing to adopt", m.config.ID, s.Status)
	}
	m.state = s
	if !s.Alive() {
		return m.recordUnseen()
	}
	if s.Status != Running {
		return m.killUnstarted()
	}
	err = m.takeOver()
	if err != nil && !s.Alive() { // it ended just now
		return m.recordUnseen()
	}
	return err
}

var errGone = errors.New("the container ended while no monitor was with it")

// recordUnseen is for a container that nobody saw ending. Its group, with whoever is left in it, goes as it would have gone.
func (m *monitor) recordUnseen() error {
	if err := m.bury(); err != nil {
		return err
	}
	m.state.Pid, m.state.PidStart = 0, 0
	switch m.state.Status {
	case Running:
		m.state.Status, m.state.ExitCode, m.state.Error = Exited, Unobserved, unobserved
		m.state.FinishedAt = time.Now().UTC()
		defer m.tellEnd()
	case Restarting:
		m.state.Status, m.state.Error = Exited, NotStartedAgain
	}
	if err := m.writeState(); err != nil {
		return err
	}
	m.cleanup()
	return errGone
}

func (m *monitor) bury() error {
	if m.spec.Linux == nil || m.spec.Linux.CgroupsPath == "" {
		return nil
	}
	facts, err := cgroups.Observe(nil)
	if err == nil {
		m.group, err = facts.Locate(m.spec.Linux.CgroupsPath)
	}
	if err != nil {
		return err
	}
	return m.raze()
}

// killUnstarted: the gate of a container whose creator died, at its first start or a later one, can be opened by nobody, and its process
// ends by itself when it sees that. Here it is made sure.
func (m *monitor) killUnstarted() error {
	fd, err := unix.PidfdOpen(m.state.Pid, 0)
	if err == nil {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		unix.Close(fd)
	}
	return m.recordUnseen()
}

func (m *monitor) takeOver() error {
	p := &process{m: m, pid: m.state.Pid, console: -1}
	m.processes = []*process{p}
	c, err := m.runtime()
	if err != nil {
		return err
	}
	_, pidfd := c.pids()
	p.pidfd, m.group = int(pidfd.Fd()), c.Group()
	m.started = true
	if err := m.holdNetwork(p.pid); err != nil && !errors.Is(err, os.ErrNotExist) { // a process that ends just now has none any more
		return err
	}
	if err := m.reopen(p); err != nil {
		return err
	}
	if err := m.listen(); err != nil {
		return err
	}
	m.health.resume()
	m.state.MonitorPid = os.Getpid()
	return m.writeState()
}

// reopen opens our ends of the FIFOs. A container that has closed its own has no reader for its input (ENXIO); a terminal
// is lost.
func (m *monitor) reopen(p *process) error {
	if m.spec.Process.Terminal {
		return nil
	}
	if m.config.OpenStdin {
		if err := m.openInput(p); err != nil && !errors.Is(err, unix.ENXIO) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := m.openOutput(p, Stdout, "stdout"); err != nil {
		return err
	}
	return m.openOutput(p, Stderr, "stderr")
}

// pidfdInfo is struct pidfd_info of <linux/pidfd.h>.
type pidfdInfo struct {
	mask     uint64
	cgroupid uint64
	ids      [11]uint32
	exitCode int32
}

const (
	pidfdGetInfo  = 0xc040ff0b // _IOWR(0xFF, 11, 64 bytes)
	pidfdInfoExit = 1 << 3
	reapedWithin  = 3 * time.Second
)

// adoptedExit asks the kernel how a process that is not our child has ended. Since Linux 6.15 a pidfd knows that, once the process's
// parent, init now, has reaped it; until then poll(2) reports no POLLHUP. On older kernels, and when nobody reaps it, the
// end was not observed.
func (m *monitor) adoptedExit(p *process) (end exit, known bool) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	if errno == 0 && info.mask&pidfdInfoExit != 0 {
		return exitOf(syscall.WaitStatus(info.exitCode)), true
	}
	now := time.Now()
	if p.reapBy.IsZero() {
		p.reapBy = now.Add(reapedWithin)
	}
	if errno != 0 || !now.Before(p.reapBy) {
		m.state.Error = unobserved
		return exit{code: Unobserved}, true
	}
	return exit{}, false
}
