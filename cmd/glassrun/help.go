package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"

	"glassbox/oci"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// help lists the commands and the global flags.
func help(w io.Writer) error {
	fmt.Fprint(w, "Usage: glassrun [OPTION...] COMMAND [ARGUMENT...]\n\nAn OCI runtime that explains what it asks of the kernel.\n\nCommands:\n")
	t := tabwriter.NewWriter(w, 0, 1, 3, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(t, "  %s\t%s\n", c.usage, c.help)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, "\nOptions:\n")
	_, _, err := parseGlobals([]string{"--help"})
	var h *helpWanted
	if !errors.As(err, &h) {
		return err
	}
	return options(w, h.flags)
}

// explain is the help of one command, with its flags.
func (c command) explain(w io.Writer, flags *flag.FlagSet) error {
	fmt.Fprintf(w, "Usage: glassrun %s\n\n%s\n\nOptions:\n", c.usage, c.help)
	return options(w, flags)
}

// words say what the flags mean: those of one name mean the same wherever they are. What stands in backquotes is the value.
var words = map[string]string{
	// before the command
	"root":           "keep the containers' state in this `DIR`",
	"log":            "write errors to this `FILE` too",
	"log-format":     "`FORMAT` of the log: text or json",
	"debug":          "log every call that create, start, run and exec make",
	"systemd-cgroup": "have systemd make the cgroups: cgroupsPath is slice:prefix:name",
	"version":        "show the version",
	// create, start, run, exec
	"bundle":          "the bundle: a `DIR` with config.json",
	"console-socket":  "hand the terminal's master to this `SOCKET`",
	"pid-file":        "write the process's number to this `FILE`",
	"pidfd-socket":    "hand a pidfd of the process to this `SOCKET`",
	"preserve-fds":    "pass `N` descriptors from 3 on to the process",
	"no-pivot":        "change the root without pivot_root, where the bundle lies on a ramdisk",
	"no-new-keyring":  "leave the process the session keyring of whoever starts it",
	"explain":         "write what was asked of the kernel to this `FILE`, as JSON; - prints it on stderr",
	"step":            "ask before each step of the start",
	"detach":          "do not wait for the end",
	"keep":            "leave the container there after its end",
	"no-subreaper":    "let processes whose parent has ended go to init",
	"process":         "read the process from this `FILE`",
	"cwd":             "stand in this `DIR`",
	"env":             "set a variable, `NAME=VALUE`",
	"tty":             "give the process a terminal",
	"user":            "be this user, `UID[:GID]`",
	"additional-gids": "be in this group, `GID`, too",
	"process-label":   "SELinux `LABEL`",
	"apparmor":        "AppArmor `PROFILE`",
	"no-new-privs":    "gain no rights by execve",
	"cap":             "have this capability, `CAP`, too",
	"cgroup":          "be in this group, `PATH`, below the container's",
	"ignore-paused":   "do it even if the container is paused",
	// the others
	"all":       "every process of the container",
	"force":     "kill it, if it is not stopped",
	"format":    "`FORMAT` of what is shown",
	"quiet":     "show ids only",
	"stats":     "show what the container has used until now, and end",
	"interval":  "show what it uses once in each `DURATION`",
	"rootless":  "for whoever is not root (before the command: do without cgroups where they may not be made)",
	"resources": "take the limits from this `FILE`, in the form of linux.resources, and nothing from other flags; - is standard input",
	// limits
	"memory":             "`BYTES` of memory; a suffix such as m counts",
	"memory-reservation": "`BYTES` of memory that are left to it when others want some",
	"memory-swap":        "`BYTES` of memory and swap together; -1: any swap",
	"cpu-period":         "length of the quota's period, `MICROSECONDS`",
	"cpu-quota":          "processor time in each period, `MICROSECONDS`",
	"cpu-burst":          "processor time that may be saved up, `MICROSECONDS`",
	"cpu-share":          "`WEIGHT` against other containers",
	"cpu-idle":           "`1`: run only when nobody else wants to",
	"cpu-rt-period":      "realtime period of cgroup v1, which cgroup v2 does not have",
	"cpu-rt-runtime":     "realtime runtime of cgroup v1, which cgroup v2 does not have",
	"cpuset-cpus":        "`CPUS` to run on, such as 0-2,4",
	"cpuset-mems":        "memory `NODES` to use",
	"pids-limit":         "`NUMBER` of processes and threads; -1: any",
	"blkio-weight":       "`WEIGHT` of block input and output, 10 to 1000",
	"l3-cache-schema":    "Intel RDT's, which glassrun does not manage",
	"mem-bw-schema":      "Intel RDT's, which glassrun does not manage",
}

// options writes the flags of a set, the short name of one behind the long one.
func options(w io.Writer, flags *flag.FlagSet) error {
	short := map[flag.Value]string{}
	flags.VisitAll(func(f *flag.Flag) {
		if len(f.Name) == 1 {
			short[f.Value] = ", -" + f.Name
		}
	})
	t := tabwriter.NewWriter(w, 0, 1, 3, ' ', 0)
	flags.VisitAll(func(f *flag.Flag) {
		if len(f.Name) == 1 {
			return
		}
		value, meaning := "", words[f.Name]
		if before, rest, found := strings.Cut(meaning, "`"); found {
			name, after, _ := strings.Cut(rest, "`")
			value, meaning = " "+name, before+name+after
		}
		fmt.Fprintf(t, "  --%s%s%s\t%s\n", f.Name, short[f.Value], value, meaning)
	})
	return t.Flush()
}

// version is what engines parse: the first line's last word, and the specification's version.
func version(w io.Writer) error {
	_, err := fmt.Fprintf(w, "glassrun version %s\nspec: %s\ngo: %s\n", oci.Version, specs.Version, runtime.Version())
	return err
}
