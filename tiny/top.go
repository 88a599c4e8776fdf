package tiny

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// moment is one look at the processors and processes.
type moment struct {
	at    time.Time
	cpu   [8]uint64
	procs map[int]proc
}

func look() moment {
	m := moment{at: time.Now(), procs: map[int]proc{}}
	for i, word := range strings.Fields(readLine("/proc/stat") + " cpu 0 0 0 0 0 0 0 0")[1:] {
		if i < len(m.cpu) {
			m.cpu[i], _ = strconv.ParseUint(word, 10, 64)
		}
	}
	for _, p := range processes() {
		m.procs[p.pid] = p
	}
	return m
}

func top(c *call) int {
	o, ok := c.options("bn:d:", "batch=b")
	if !ok {
		return 1
	}
	rounds := o.number('n', -1)
	pause, ok := duration(o.value('d', "5"))
	if !ok {
		return c.fail("invalid number '%s'", o.value('d', ""))
	}
	if o.failed {
		return 1
	}
	interactive := isTerminal(0) && isTerminal(1) && !o.has('b')
	if interactive {
		old, err := unix.IoctlGetTermios(0, unix.TCGETS)
		if err == nil {
			raw := *old
			raw.Lflag &^= unix.ICANON | unix.ECHO
			unix.IoctlSetTermios(0, unix.TCSETS, &raw)
			defer unix.IoctlSetTermios(0, unix.TCSETS, old)
		}
	}
	before := look()
	time.Sleep(100 * time.Millisecond) // shares need two looks
	for ; rounds != 0; rounds-- {
		now := look()
		c.top(before, now, interactive)
		before = now
		c.out.Flush()
		if rounds != 1 && !wait(interactive, pause) {
			break
		}
	}
	if interactive {
		c.print("\n")
	}
	return 0
}

// wait is false when the user types q or Ctrl-C... which arrives as a signal and ends top as every program.
func wait(interactive bool, pause time.Duration) bool {
	if !interactive {
		time.Sleep(pause)
		return true
	}
	set := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}}
	n, _ := unix.Poll(set, int(min(pause.Milliseconds(), 1<<30)))
	if n > 0 {
		var key [1]byte
		if n, err := unix.Read(0, key[:]); n <= 0 || err != nil || key[0] == 'q' || key[0] == 3 || key[0] == 4 {
			return false
		}
	}
	return true
}

func (c *call) top(before, now moment, interactive bool) {
	rows, cols := 1<<30, 79
	if interactive {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil && size.Row > 6 {
			rows, cols = int(size.Row)-6, int(size.Col)
		}
		c.print("\x1b[H\x1b[J")
	}
	m := memory()
	used := m["MemTotal"] - m["MemFree"]
	c.printf("Mem: %dK used, %dK free, %dK shrd, %dK buff, %dK cached\n", used, m["MemFree"], m["Shmem"], m["Buffers"], m["Cached"]+m["SReclaimable"])
	var delta [8]uint64
	all := uint64(0)
	for i := range delta {
		delta[i] = now.cpu[i] - before.cpu[i]
		all += delta[i]
	}
	share := func(i int) uint64 { return (delta[i]*100 + all/2) / max(all, 1) }
	c.printf("CPU: %3d%% usr %3d%% sys %3d%% nic %3d%% idle %3d%% io %3d%% irq %3d%% sirq\n", share(0), share(2), share(1), share(3), share(4), share(5), share(6))
	load := strings.Fields(readLine("/proc/loadavg") + " 0 0 0 0/0 0")
	c.printf("Load average: %s %s %s %s %s\n", load[0], load[1], load[2], load[3], load[4])
	header := "  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND"
	if interactive {
		header = "\x1b[7m" + header + strings.Repeat(" ", max(0, cols-len(header))) + "\x1b[m"
	}
	c.print(header, "\n")
	list, spent := shares(before, now)
	n := loadNames(false)
	for _, p := range list[:min(rows, len(list))] {
		size := strconv.FormatInt(p.vsz, 10)
		if p.vsz >= 100000 {
			size = strconv.FormatInt(p.vsz>>10, 10) + "m"
		}
		line := fmt.Sprintf("%5d %5d %-8.8s %-4s %5s %3d%% %3d%% %s", p.pid, p.ppid, n.user(p.uid), p.state, size, min(p.vsz*100/max(m["MemTotal"], 1), 999),
			spent[p.pid]*100/max(all, 1), p.command())
		if runes := []rune(line); len(runes) > cols && interactive {
			line = string(runes[:cols])
		}
		c.print(line, "\n")
	}
}

// shares sorts by the CPU time spent between two looks.
func shares(before, now moment) (list []proc, spent map[int]uint64) {
	spent = map[int]uint64{}
	for pid, p := range now.procs {
		list = append(list, p)
		if old, ok := before.procs[pid]; ok && old.started == p.started && p.ticks > old.ticks {
			spent[pid] = p.ticks - old.ticks
		}
	}
	slices.SortFunc(list, func(a, b proc) int {
		switch {
		case spent[a.pid] != spent[b.pid]:
			return int(int64(spent[b.pid]) - int64(spent[a.pid]))
		case a.vsz != b.vsz:
			return int(min(max(b.vsz-a.vsz, -1), 1))
		}
		return a.pid - b.pid
	})
	return list, spent
}
