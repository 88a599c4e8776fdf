package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// Top lists the container's processes as ps(1) does: titles and rows.
func (c *Containers) Top(id string, psArgs []string) (container.TopResponse, error) {
	psArgs = splitPS(psArgs)
	if err := validatePS(psArgs); err != nil {
		return container.TopResponse{}, err
	}
	r, err := c.load(id)
	if err != nil {
		return container.TopResponse{}, err
	}
	s, err := c.state(r)
	if err == nil && !s.Running {
		err = notRunning(r.ID)
	} else if err == nil && s.Restarting {
		err = restarting(r.ID)
	}
	if err != nil {
		return container.TopResponse{}, err
	}
	pids, err := c.pids(r, s)
	if err != nil {
		return container.TopResponse{}, err
	}
	out, err := ps(psArgs, pids)
	var top container.TopResponse
	if errors.Is(err, exec.ErrNotFound) && slices.Equal(psArgs, []string{"-ef"}) {
		top, err = ownPS(pids)
	} else if err == nil {
		top, err = parsePS(out, pids)
	}
	if err == nil {
		c.tell(r, "top")
	}
	return top, err
}

// splitPS makes Docker's arguments of ps: its client joins them by blanks, and its daemon takes them apart again.
func splitPS(args []string) []string {
	line := strings.Join(args, " ")
	if line == "" {
		line = "-ef"
	}
	return strings.Split(line, " ")
}

// pids are the processes of the container: those in its group, or where there is no cgroup v2 those in its PID namespace.
func (c *Containers) pids(r *record, s state) ([]int, error) {
	g, err := c.groupOf(r)
	if err != nil {
		return nil, err
	}
	if g.Exists() {
		return g.Procs()
	}
	return samePIDNamespace(s.Pid)
}

func samePIDNamespace(pid int) ([]int, error) {
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err == nil && ns == own {
			pids = append(pids, n)
		}
	}
	return pids, nil
}

// validatePS keeps the PID column recognizable, as Docker does.
func validatePS(args []string) error {
	for _, m := range regexp.MustCompile(`\s+([^\s]*)=\s*(PID[^\s]*)`).FindAllStringSubmatch(strings.Join(args, " "), -1) {
		if m[1] != "pid" {
			return invalid("specifying \"%s=%s\" is not allowed", m[1], m[2])
		}
	}
	return nil
}

// ps asks for our processes only, and where that ps cannot do that, for all.
func ps(args []string, pids []int) ([]byte, error) {
	var list []string
	for _, p := range pids {
		list = append(list, strconv.Itoa(p))
	}
	out, err := exec.Command("ps", append(slices.Clone(args), "-q"+strings.Join(list, ","))...).Output()
	if err == nil || errors.Is(err, exec.ErrNotFound) {
		return out, err
	}
	out, err = exec.Command("ps", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if line, _, _ := bytes.Cut(exit.Stderr, []byte("\n")); len(line) > 0 {
			return nil, fmt.Errorf("ps: %s", line)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	return out, nil
}

func parsePS(out []byte, pids []int) (container.TopResponse, error) {
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	top := container.TopResponse{Titles: words(lines[0])}
	column := slices.Index(top.Titles, "PID")
	if column < 0 {
		return top, errors.New("Couldn't find PID field in ps output")
	}
	ours := false
	for _, line := range lines[1:] {
		fields := words(line)
		if len(fields) < len(top.Titles) {
			continue
		}
		// A line of a thread has no pid of its own, and belongs to the process above it.
		if fields[column] != "-" {
			pid, err := strconv.Atoi(fields[column])
			if err != nil {
				return top, fmt.Errorf("Unexpected pid '%s': %w", fields[column], err)
			}
			ours = slices.Contains(pids, pid)
		}
		if ours {
			last := len(top.Titles) - 1
			top.Processes = append(top.Processes, append(fields[:last:last], strings.Join(fields[last:], " ")))
		}
	}
	return top, nil
}

// words are between ASCII blanks: ps prints others as parts of names.
func words(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("\t\n\f\r ", r) })
}

// ownPS is `ps -ef` of our own, for hosts without ps.
func ownPS(pids []int) (container.TopResponse, error) {
	top := container.TopResponse{Titles: []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return top, err
	}
	seconds, _, _ := strings.Cut(string(uptime), " ")
	up, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return top, err
	}
	for _, pid := range pids {
		if row, err := processRow(pid, up); err == nil {
			top.Processes = append(top.Processes, row)
		}
	}
	return top, nil
}

// clockTicks is USER_HZ, which the kernel has fixed at 100 for user space on amd64 and arm64.
const clockTicks = 100

// processRow reads one process from proc_pid_stat(5); an error means that it has ended.
func processRow(pid int, uptime float64) ([]string, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, err
	}
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if open < 0 || len(fields) < 20 {
		return nil, fmt.Errorf("reading %s/stat: too short", dir)
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	cpu := number(11) + number(12)
	age := uptime - float64(number(19))/clockTicks
	share := int64(0)
	if age > 0 {
		share = min(99, int64(float64(cpu)/clockTicks/age*100))
	}
	return []string{
		userName(st.Uid), strconv.Itoa(pid), fields[1], strconv.FormatInt(share, 10), startTime(age),
		ttyName(number(4)), cpuTime(cpu / clockTicks), commandOf(dir, string(data[open+1:end])),
	}, nil
}

func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func startTime(age float64) string {
	t := time.Now().Add(-time.Duration(age * float64(time.Second)))
	if age < 24*3600 {
		return t.Format("15:04")
	}
	return t.Format("Jan02")
}

func ttyName(device int64) string {
	major, minor := unix.Major(uint64(device)), unix.Minor(uint64(device))
	switch {
	case device == 0:
		return "?"
	case major >= 136 && major < 144:
		return fmt.Sprintf("pts/%d", (major-136)*256+minor)
	}
	return fmt.Sprintf("tty%d", minor)
}

func cpuTime(s int64) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }

func commandOf(dir, name string) string {
	data, err := os.ReadFile(dir + "/cmdline")
	line := strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
	if err != nil || line == "" {
		return "[" + name + "]"
	}
	return line
}
