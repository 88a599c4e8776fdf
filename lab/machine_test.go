package lab_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"glassbox/test/machines"
	"glassbox/test/need"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// room is where lessons are played. Each has a machine of its own; in the emulated machine, where one takes seconds to make, they are
// played on the same one after each other, as learners do, and it has the image tiny already.
type room struct {
	t     *testing.T
	host  *machines.Host
	clean string // what there was before the first lesson
}

func (r *room) machine(t *testing.T) *machines.Host {
	t.Helper()
	if !need.VM() {
		return host(t)
	}
	if r.host == nil {
		r.host = host(r.t)
		r.host.OK("glassbox rm $(glassbox create --network none tiny true)")
	}
	t.Cleanup(func() {
		if t.Failed() { // the lesson may be under way there
			r.host, r.clean = nil, ""
		}
	})
	return r.host.For(t)
}

// found is what a lesson finds on its machine: where there were others before it, what they found.
func (r *room) found(p *player) string {
	p.t.Helper()
	if !need.VM() || r.clean == "" {
		r.clean = everything(p)
	}
	return r.clean
}

// host is a machine whose /root and /mnt are its own: others may use the real ones at the same time. In the virtual machine the tests themselves lie in /mnt.
func host(t *testing.T) *machines.Host {
	t.Helper()
	h := machines.WithGlassbox(t, "lab")
	h.OK("mount -t tmpfs root /root; [ -e /mnt/checkout ] || mount -t tmpfs mnt /mnt")
	return h
}

// lists are what glassbox has. A list of processes has no pids, which differ.
const lists = `for list in 'ps -aq --no-trunc' 'network ls -q --no-trunc' 'volume ls -q' 'images -aq --no-trunc' 'buildx du'; do
	echo "== $list"
	glassbox $list
done
echo "== tables"
nft list tables | sed /glassbox/d`

// everything is what there is on a machine, found without glassbox lab, and but for glassbox's own lists and nft(8) without starting a process,
// which is what takes long in the emulated machine.
func everything(p *player) string {
	p.t.Helper()
	all := p.OK(lists)
	err := p.Enter(func() error {
		for _, section := range []struct {
			name string
			list func() ([]string, error)
		}{
			{"links", linksHere}, {"mounts", mountsHere}, {"groups", groupsHere}, {"namespaces", namespacesHere}, {"processes", processesHere},
			{"files", func() ([]string, error) { return filesHere(filepath.Dir(p.dir), "/etc", "/run", "/root", "/mnt") }},
		} {
			list, err := section.list()
			if err != nil {
				return fmt.Errorf("listing %s: %w", section.name, err)
			}
			slices.Sort(list)
			all += "\n== " + section.name + "\n" + strings.Join(slices.Compact(list), "\n")
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func linksHere() (names []string, err error) {
	links, err := netlink.LinkList()
	for _, l := range links {
		if name := l.Attrs().Name; name != "glassbox0" {
			names = append(names, name)
		}
	}
	return names, err
}

// mountsHere has a place as often as something is mounted there.
func mountsHere() (places []string, err error) {
	text, err := os.ReadFile("/proc/1/mountinfo")
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		place := strings.Fields(line)[4]
		count[place]++
		places = append(places, fmt.Sprint(place, " ", count[place]))
	}
	return places, err
}

func groupsHere() (groups []string, err error) {
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && !strings.Contains(path, "/glassbox") {
			groups = append(groups, path)
		}
		return nil // a group may go meanwhile
	})
	return groups, err
}

func namespacesHere() (links []string, err error) {
	paths, err := filepath.Glob("/proc/[0-9]*/ns/*")
	for _, path := range paths {
		if link, err := os.Readlink(path); err == nil {
			links = append(links, link)
		}
	}
	return links, err
}

// processesHere are command lines; of a process that has ended its name. The machine's own, tini(1) and a sleep(1), are left out: the one may not have
// become the other yet.
func processesHere() (commands []string, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	count := map[string]int{}
	for _, dir := range dirs {
		line, wrong := os.ReadFile(dir + "/cmdline")
		if wrong == nil && len(line) == 0 {
			line, wrong = os.ReadFile(dir + "/comm")
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		if wrong == nil && !strings.HasSuffix(text, "sleep infinity") {
			count[text]++
			commands = append(commands, fmt.Sprint(text, " ", count[text]))
		}
	}
	return commands, err
}

// outside are files that are not the lesson's: glassbox's own, and what the host shares with the machine.
var outside = regexp.MustCompile(`^(/mnt/(checkout|vm|scratch)/|/run/glassbox|/run/proc/|/run/netns$)`)

// filesHere are the files up to two levels below directories, without those of other file systems.
func filesHere(tops ...string) (files []string, err error) {
	var below func(dir string, depth int, device uint64) error
	below = func(dir string, depth int, device uint64) error {
		var st unix.Stat_t
		if unix.Lstat(dir, &st) != nil || device != 0 && st.Dev != device {
			return nil // it went meanwhile, or is another's
		}
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			path := dir + "/" + e.Name()
			if outside.MatchString(path+"/") || outside.MatchString(path) {
				continue
			}
			files = append(files, path)
			if e.IsDir() && depth > 1 {
				err = below(path, depth-1, st.Dev)
			}
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	for _, top := range tops {
		if err := below(top, 2, 0); err != nil {
			return nil, err
		}
	}
	return files, nil
}
