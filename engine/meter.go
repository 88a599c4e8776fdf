package engine

import (
	"os"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"

	"golang.org/x/sys/unix"
)

// Usage is what a container uses. A nil part cannot be known: no controller counts it, or there is nothing to compare with yet. A container that
// does not run uses nothing, and that is known.
type Usage struct {
	Container string // as the user called it
	ID, Name  string
	CPU       *float64 // percent of one processor since the last measurement
	Memory    *Memory
	Network   *Traffic // over its interfaces
	Block     *Traffic // from and to block devices
	Pids      *uint64  // processes and threads
}

// Memory is in bytes. Used leaves out the page cache that was not used lately; Limit is the machine's where the container has none.
type Memory struct{ Used, Limit uint64 }

// Traffic is in bytes since the container's start: received or read, sent or written.
type Traffic struct{ In, Out uint64 }

// meter measures one container again and again.
type meter struct {
	containers *Containers
	last       Usage
	pid        int           // whose processor time was read last
	spent      time.Duration // that
	at         time.Time     // when
}

// read measures. What cannot be read of a container that was removed, or ends just now, is not known.
func (m *meter) read() Usage {
	u := Usage{Container: m.last.Container, ID: m.last.ID, Name: m.last.Name}
	r, err := m.containers.read(u.ID)
	if err == nil {
		u.Name = "/" + r.Name
		var s state
		if s, err = m.containers.state(r); err == nil && s.Pid == 0 {
			u.idle()
		} else if err == nil {
			m.running(&u, r, s)
		}
	}
	m.last = u
	return u
}

func (u *Usage) idle() {
	u.CPU, u.Memory, u.Network, u.Block, u.Pids = new(float64), new(Memory), new(Traffic), new(Traffic), new(uint64)
}

func (m *meter) running(u *Usage, r *record, s state) {
	g, err := m.containers.groupOf(r)
	if err != nil {
		return
	}
	used, err := g.Stat()
	if err != nil {
		return
	}
	if used.CPU != nil {
		u.CPU = m.share(s.Pid, time.Duration(used.CPU.Usage)*time.Microsecond)
	}
	if used.Memory != nil {
		u.Memory = memoryOf(used.Memory)
	}
	if used.IO != nil {
		u.Block = &Traffic{}
		for _, d := range used.IO {
			u.Block.In += d.ReadBytes
			u.Block.Out += d.WriteBytes
		}
	}
	if used.Pids != nil {
		u.Pids = &used.Pids.Current
	} else if n, ok := g.Threads(); ok {
		u.Pids = &n
	}
	u.Network = m.containers.traffic(r, s.Pid)
}

// share is Docker's CPU %: of the time that passed, how much the container had a processor. Docker takes the time from /proc/stat, where it
// is counted in hundredths of a second; the clock is more exact for a short interval.
func (m *meter) share(pid int, spent time.Duration) *float64 {
	now := time.Now()
	before, at, same := m.spent, m.at, m.pid == pid
	m.pid, m.spent, m.at = pid, spent, now
	if !same || spent < before {
		return nil
	}
	percent := 100 * float64(spent-before) / float64(now.Sub(at))
	return &percent
}

func memoryOf(m *cgroups.MemoryUsage) *Memory {
	out := &Memory{Used: m.Current, Limit: min(m.Max, machineMemory())}
	if m.InactiveFile < m.Current {
		out.Used -= m.InactiveFile
	}
	return out
}

func machineMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return cgroups.Unlimited
	}
	return info.Totalram * uint64(info.Unit)
}

// traffic is that of the interfaces that the container's networks gave it, or the container whose namespace it shares: interfaces of its own
// making, such as the bridge of a Docker inside it, would count twice. One without networks, or on the host's, has none.
func (c *Containers) traffic(r *record, pid int) *Traffic {
	place := r.place
	if id := r.HostConfig.NetworkMode.ConnectedContainer(); id != "" {
		other, err := c.find(id)
		if err != nil {
			return nil
		}
		place = c.root.Container(other)
	}
	w, err := wiringAt(place)
	if err != nil {
		return nil
	}
	if w == nil {
		return &Traffic{}
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/dev")
	if err != nil {
		return nil
	}
	sum := &Traffic{}
	for _, e := range w.Endpoints {
		t := trafficOf(string(text), e.Interface.Name)
		sum.In += t.In
		sum.Out += t.Out
	}
	return sum
}

// trafficOf reads one interface's line of proc_pid_net(5), dev: "eth0: bytes packets errs drop fifo frame compressed multicast bytes ...".
func trafficOf(text, name string) (t Traffic) {
	for line := range strings.Lines(text) {
		device, counters, _ := strings.Cut(line, ":")
		fields := strings.Fields(counters)
		if strings.TrimSpace(device) == name && len(fields) > 8 {
			t.In, _ = strconv.ParseUint(fields[0], 10, 64)
			t.Out, _ = strconv.ParseUint(fields[8], 10, 64)
		}
	}
	return t
}
