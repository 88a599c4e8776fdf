package doctor

import (
	"os/exec"
	"slices"
	"strings"

	"glassbox/engine"
)

func programProbes() []probe {
	return []probe{
		{"programs", "glassrun", "the runtime, which makes the container's process and stays with it", "", tryGlassrun},
		{"programs", "ps", "glassbox top", "lifecycle", func(*machine) finding { return tools("ps") }},
		{"programs", "lessons", "lessons make by hand what glassbox makes", "by-hand", func(*machine) finding {
			return tools("unshare", "nsenter", "lsns", "ip", "nft", "setpriv", "mount", "chroot", "findmnt")
		}},
		{"programs", "looking", "some lessons look closer", "", func(*machine) finding { return tools("strace", "capsh", "jq", "tmux") }},
	}
}

// packageOf is Debian's package that has a program.
func packageOf(program string) string {
	switch program {
	case "ps":
		return "procps"
	case "unshare", "nsenter", "lsns", "setpriv", "findmnt":
		return "util-linux"
	case "chroot":
		return "coreutils"
	case "ip":
		return "iproute2"
	case "nft":
		return "nftables"
	case "capsh":
		return "libcap2-bin"
	}
	return program
}

func tools(names ...string) finding {
	var have, lacking, from []string
	for _, n := range names {
		if _, err := exec.LookPath(n); err == nil {
			have = append(have, n)
			continue
		}
		lacking = append(lacking, n)
		if p := packageOf(n); !slices.Contains(from, p) {
			from = append(from, p)
		}
	}
	if len(lacking) > 0 {
		return warn("not in PATH: "+strings.Join(lacking, " "), "apt install "+strings.Join(from, " "))
	}
	return pass(strings.Join(have, " "))
}

const misplaced = "put glassrun beside glassbox, or name it by GLASSBOX_GLASSRUN"

func tryGlassrun(*machine) finding {
	path, err := engine.Glassrun()
	if err != nil {
		return fail(named(err), misplaced)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fail(path+": "+named(err), misplaced)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if version := line[strings.LastIndexByte(line, ' ')+1:]; version != engine.Version {
		return fail(path+" is version "+version+", glassbox is "+engine.Version, "put the glassrun of the same build beside glassbox")
	}
	return pass(path + ", " + engine.Version)
}
