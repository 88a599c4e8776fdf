// Command vm runs programs and tests in a throwaway machine with a unified cgroup v2 hierarchy, on Debian's kernel.
//
//	vm run [-cpus N] [-mem M] [-timeout T] [-share DIR] [-env K=V] -- CMD ARGS   runs a command, ends with its status
//	vm test [-v] [-all] [-run REGEXP] [-timeout T] [-env K=V] PKG...              runs tests of packages in one boot
//	vm prepare                                                                   makes what a boot needs, once
//
// The machine is QEMU's software emulation, so it needs no rights of the host's beyond reading its files: the host's
// root directory is the machine's, read-only below a scratch disk. It boots in about four seconds; fork and exec are ten times
// slower than outside, plain computation fifty times. Nothing in it is a measure of speed.
//
// The story of a run. prepare (image.go) unpacks a kernel and makes an initramfs in test/.cache/vm. boot (boot.go) starts QEMU with
// a directory of this run's shared into the machine: in it are this very program and plan.json. The initramfs mounts the root and
// executes `vm init` (init.go) as PID 1, which makes the machine complete, runs the plan's commands with output through two serial ports,
// writes status.json and ends the machine. No status.json means that the machine died.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	if len(args) == 0 {
		return 2, errors.New("usage: vm run|test|prepare ... (see go doc ./test/vm)")
	}
	switch args[0] {
	case "init":
		return 1, runInit()
	case "plan":
		return 1, runPlan()
	case "prepare":
		if _, err := prepare(); err != nil {
			return 1, err
		}
		return 0, nil
	case "run":
		return runCommand(args[1:])
	case "test":
		return runTests(args[1:])
	}
	return 2, fmt.Errorf("unknown command %q", args[0])
}

// list is a flag that can be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// machineFlags are the flags of run and test alike.
func machineFlags(set *flag.FlagSet, m *machine) {
	set.IntVar(&m.CPUs, "cpus", m.CPUs, "how many CPUs")
	set.IntVar(&m.Memory, "mem", m.Memory, "how much memory, in MiB")
	set.DurationVar(&m.Timeout, "timeout", m.Timeout, "after this the machine is ended")
	set.StringVar(&m.Share, "share", "", "a directory of the host that the machine may write to, at the same place")
	set.BoolVar(&m.Plan.Systemd, "systemd", m.Plan.Systemd, "let systemd be PID 1")
	set.BoolVar(&m.Console, "console", false, "show the kernel's console")
}

func runCommand(args []string) (int, error) {
	m := machine{CPUs: 1, Memory: 2048, Timeout: 5 * time.Minute}
	var env list
	set := flag.NewFlagSet("vm run", flag.ContinueOnError)
	machineFlags(set, &m)
	set.Var(&env, "env", "a variable for the command: NAME=VALUE")
	if err := set.Parse(args); err != nil || set.NArg() == 0 {
		return 2, errors.Join(err, errors.New("vm run: no command given"))
	}
	dir, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	m.Plan.Commands = []command{{Dir: dir, Args: set.Args(), Env: env}}
	return m.boot()
}
