package doctor

import (
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Lacking answers the words of a lesson's needs: what this machine lacks of it, in one line with its cure; empty where it has it.
//
//	root              to be root
//	cgroup:NAME       a limit, by the controller's name; or freezer
//	userns            a user namespace with id-mapped layers
//	net               bridges, veth pairs and nftables
//	tool:NAME         a program in PATH
//	kernel:NAME       any check of that area, by name; the same goes for the other areas
func Lacking(word string) string {
	kind, name, _ := strings.Cut(word, ":")
	switch kind {
	case "root":
		if os.Geteuid() != 0 {
			return "you are not root: sudo glassbox ..."
		}
		return ""
	case "tool":
		if _, err := exec.LookPath(name); err == nil {
			return ""
		}
		return "the program " + name + " is not in PATH: " + tools(name).fix
	case "userns":
		return lacks("kernel", "overlay-userns")
	case "net":
		return lacks("network", stagePublish)
	case "cgroup":
		if name == "freezer" {
			name = "freeze"
		}
		return lacks("cgroups", name)
	}
	return lacks(kind, name)
}

// asked is the machine of Lacking: what several words ask for is tried once.
var asked = sync.OnceValue(newMachine)

func lacks(area, name string) string {
	for _, p := range probes() {
		if p.area != area || p.name != name {
			continue
		}
		m := asked()
		c := p.check(m)
		m.close()
		if c.Result != Fail {
			return ""
		}
		return strings.ReplaceAll(c.Found, "\n", " ") + "; fix: " + c.Fix
	}
	return "glassbox doctor has no check for it"
}
