package doctor

import (
	"os/exec"
	"strings"

	"glassbox/engine"
)

var programProbes = []probe{
	{"programs", "glassrun", "the runtime, which makes the container's process and stays with it", "", tryGlassrun},
	{"programs", "ps", "glassbox top", "lifecycle", func(*machine) finding { return tools("ps") }},
	{"programs", "lessons", "lessons make by hand what glassbox makes", "by-hand", func(*machine) finding {
		return tools("unshare", "nsenter", "lsns", "ip", "nft", "setpriv", "mount", "chroot", "findmnt")
	}},
	{"programs", "looking", "some lessons look closer", "", func(*machine) finding { return tools("strace", "capsh", "jq", "tmux") }},
}

// packages are Debian's, by the programs that are in them where the name is another.
var packages = map[string]string{
	"ps": "procps", "unshare": "util-linux", "nsenter": "util-linux", "lsns": "util-linux", "setpriv": "util-linux", "mount": "mount", "findmnt": "util-linux",
	"chroot": "coreutils", "ip": "iproute2", "nft": "nftables", "capsh": "libcap2-bin",
}

func tools(names ...string) finding {
	var have, lacking, from []string
	for _, n := range names {
		if _, err := exec.LookPath(n); err == nil {
			have = append(have, n)
			continue
		}
		lacking = append(lacking, n)
		p := packages[n]
		if p == "" {
			p = n
		}
		if !strings.Contains(strings.Join(from, " ")+" ", p+" ") {
			from = append(from, p)
		}
	}
	if len(lacking) > 0 {
		return warn("not in PATH: "+strings.Join(lacking, " "), "apt install "+strings.Join(from, " "))
	}
	return pass(strings.Join(have, " "))
}

func tryGlassrun(*machine) finding {
	path, err := engine.Glassrun()
	if err != nil {
		return fail(named(err), "put glassrun beside glassbox, or name it by GLASSBOX_GLASSRUN")
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fail(path+": "+named(err), "build it again: test/build.sh DIR")
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if version := line[strings.LastIndexByte(line, ' ')+1:]; version != engine.Version {
		return fail(path+" is version "+version+", glassbox is "+engine.Version, "put the glassrun of the same build beside glassbox")
	}
	return pass(path + ", " + engine.Version)
}
