package why

import (
	"fmt"
	"strings"

	"glassbox/binfmt"

	"golang.org/x/sys/unix"
)

// Card is what is printed below an error: the kernel's rule, a command that proves it, one that cures it, and a lesson.
type Card struct{ Why, Check, Fix, Learn string }

// Failed is an error on its way to people.
type Failed struct {
	Call  string // the failing step's system call; empty: there was none
	Errno unix.Errno
	Text  string
	Store string // where glassbox keeps its data
}

// CardFor is the card of an error. One that a kernel call has answered gets the cause that holds here, if one can be seen to; others are known
// by their words.
func CardFor(f Failed) (Card, bool) {
	for _, s := range sayings {
		if s.early && s.matches(f.Text) {
			return s.Card, true
		}
	}
	if c, known := kernelCard(f); known {
		return c, true
	}
	if c := cardOf(f.Text); c != nil {
		return *c, true
	}
	return Card{}, false
}

// kernelCard asks the table, about the object that the error names.
func kernelCard(f Failed) (Card, bool) {
	if f.Errno == 0 {
		return Card{}, false
	}
	call, objects := plain(f.Call), []string(nil)
	switch {
	case strings.Contains(f.Text, "overlay") && find(f.Errno, "overlay") != nil:
		call, objects = "overlay", []string{f.Store}
	case strings.Contains(f.Text, "subtree_control"):
		call, objects = "cgroup.subtree_control", pathsIn(f.Text, "/cgroup")
	case strings.Contains(f.Text, "/cgroup/") && find(f.Errno, "cgroup") != nil:
		call, objects = "cgroup", pathsIn(f.Text, "/cgroup/")
	case strings.Contains(f.Text, "chown "):
		call = "chown"
	case strings.Contains(f.Text, "clone3"):
		call = "clone3"
	case call == "execve" && f.Errno != unix.EPERM:
		return Card{}, false // the engine has looked at the file itself
	}
	k := find(f.Errno, call)
	if k == nil || call == "" {
		return Card{}, false
	}
	a := k.ask(&probe{pid: "self", objects: objects, open: binfmt.Host, call: call, born: call == "fsmount"}, call)
	question := fmt.Sprintf("glassbox why %s %s", a.Errno, a.Call)
	best := a.Causes[0]
	if best.Holds == Yes {
		return Card{Why: best.Why + " (" + list(best.Evidence) + ")", Check: best.Check, Fix: best.Fix, Learn: best.Learn}, true
	}
	var names []string
	for _, c := range a.Causes {
		names = append(names, c.Name)
	}
	return Card{Why: fmt.Sprintf("%s answers %s for one of these: %s; from here none could be seen to hold", a.Call, a.Errno, join(names)), Check: question, Fix: best.Fix, Learn: best.Learn}, true
}

// pathsIn finds the first path in a text that has a piece in it.
func pathsIn(text, piece string) []string {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \"'(),:", r) }) {
		if strings.HasPrefix(w, "/") && strings.Contains(w, piece) {
			return []string{w}
		}
	}
	return nil
}

// knownIn finds the entry of a failed step in its text, which ends in what the kernel has said: "step 17, ...: mount(...): invalid argument".
func knownIn(text string) *Known {
	for _, k := range all() {
		if !strings.HasSuffix(text, k.Errno.Error()) {
			continue
		}
		for _, c := range k.Calls {
			if strings.Contains(text, ": "+c+"(") || c == "overlay" && strings.Contains(text, "overlay") || c == "cgroup.subtree_control" && strings.Contains(text, c) {
				return k
			}
		}
	}
	return nil
}

// saying is an error of glassbox's own, or of a registry's, known by its words.
type saying struct {
	text, more string // parts of it; more may be empty
	early      bool   // it tells more than the call that it quotes
	Card
}

func (s saying) matches(text string) bool {
	return strings.Contains(text, s.text) && strings.Contains(text, s.more)
}

// cardOf is the first saying that an error is known by.
func cardOf(text string) *Card {
	for i := range sayings {
		if sayings[i].matches(text) {
			return &sayings[i].Card
		}
	}
	return nil
}

var sayings = []saying{
	{
		text: "cgroup", more: "v1", early: true,
		Card: Card{
			Why:   "a controller can belong to cgroup v1 or v2, never to both; here v1 holds it",
			Check: "stat -f -c %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/unified/cgroup.controllers",
			Fix:   "boot with systemd.unified_cgroup_hierarchy=1 (and cgroup_no_v1=all)", Learn: "memory-limit",
		},
	},
	{
		text: "exec format error",
		Card: Card{
			Why: "execve(2) found neither an ELF file for this machine's architecture nor a #! line", Check: "head -c 20 FILE | od -c; uname -m",
			Fix: "start the script with #!/bin/sh, or take the image for this machine: --platform linux/amd64", Learn: "first-container",
		},
	},
	{
		text: "executable file not found", early: true,
		Card: Card{
			Why: "no directory in the container's PATH holds a file of that name", Check: "glassbox run --rm --entrypoint ls IMAGE /bin /usr/bin",
			Fix: "give the whole path, or another command", Learn: "first-container",
		},
	},
	{
		text: "stat /", more: "no such file or directory", early: true,
		Card: Card{Why: "the image has no such file", Check: "glassbox run --rm --entrypoint ls IMAGE -l DIRECTORY", Learn: "layers"},
	},
	{
		text: "dial tcp: lookup", early: true,
		Card: Card{
			Why: "the registry's name could not be resolved: no network, or no DNS server that answers", Check: "getent hosts registry-1.docker.io",
			Fix: "the images hello-world and tiny are built in and need no network; /etc/glassbox/config.json can name mirrors", Learn: "names-dns",
		},
	},
	{
		text: "toomanyrequests",
		Card: Card{
			Why: "the registry counts pulls per address, and a class behind one address is one", Check: "glassbox info | grep -i mirror",
			Fix: "a mirror in /etc/glassbox/config.json; glassbox save on one machine and load on the others; the image tiny needs no pull", Learn: "digests",
		},
	},
	{
		text: "/var/lib/glassbox", more: "permission denied", early: true,
		Card: Card{Why: "this build needs root: its data and its mounts belong to root", Check: "id -u", Fix: "sudo glassbox ..."},
	},
	{
		text: "is already in use by container",
		Card: Card{Why: "a name belongs to one container until that is removed, running or not", Check: "glassbox ps -a", Fix: "glassbox rm -f NAME, or run with --rm", Learn: "lifecycle"},
	},
	{
		text: "the input device is not a TTY",
		Card: Card{Why: "-t makes a terminal inside, but the keys would come from a pipe or a file", Check: "test -t 0; echo $?", Fix: "leave out -t: run -i", Learn: "lifecycle"},
	},
	{text: "stop the container before removing or force remove", Card: Card{Fix: "glassbox rm -f NAME", Learn: "lifecycle"}},
	{text: "No such container", Card: Card{Check: "glassbox ps -a"}},
	{text: "network ", more: " not found", Card: Card{Check: "glassbox network ls", Fix: "glassbox network create NAME", Learn: "bridge-nat"}},
	{
		text: "has active endpoints",
		Card: Card{Why: "a network goes when no running container is on it", Check: "glassbox ps -f network=NAME", Fix: "glassbox network disconnect NAME CONTAINER, or stop the containers", Learn: "bridge-nat"},
	},
	{
		text: "volume is in use",
		Card: Card{Why: "a volume belongs to every container that names it, running or not", Check: "glassbox ps -a -f volume=NAME", Fix: "glassbox rm CONTAINER first", Learn: "volumes"},
	},
	{text: "no such volume", Card: Card{Check: "glassbox volume ls", Learn: "volumes"}},
	{
		text: "user specified IP address is supported only when connecting to networks with user configured subnets",
		Card: Card{Why: "a subnet that was chosen for you may be another one when the network is made anew", Fix: "glassbox network create --subnet 172.30.0.0/16 NAME", Learn: "bridge-nat"},
	},
	{
		text: "bind source path does not exist",
		Card: Card{Why: "--mount never makes what it is to show; -v makes a directory", Check: "ls -ld SOURCE", Fix: "mkdir -p SOURCE", Learn: "volumes"},
	},
	{
		text: "Are you trying to mount a directory onto a file", early: true,
		Card: Card{
			Why: "mount(2) puts a directory on a directory and a file on a file, nothing else", Check: "ls -ld SOURCE; a source that -v did not find was made, as a directory",
			Fix: "rmdir SOURCE, and name a file that is there", Learn: "volumes",
		},
	},
	{
		text: "cannot assign requested address", early: true,
		Card: Card{Why: "bind(2) takes only addresses that this host has", Check: "ip -br addr", Fix: "publish without an address, or on one of these", Learn: "bridge-nat"},
	},
	{text: "No such image", Card: Card{Check: "glassbox images", Fix: "glassbox pull NAME", Learn: "layers"}},
}
