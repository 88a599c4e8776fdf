package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// runBundle is `glassrun run`: create and start the container of a bundle, wait for its end, leave nothing.
func runBundle(_ globals, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	bundle := flags.String("bundle", ".", "the bundle: a directory with config.json")
	flags.StringVar(bundle, "b", ".", "short for --bundle")
	explain := flags.String("explain", "", "write what was asked of the kernel to this file, as JSON; - prints it on stderr")
	if err := flags.Parse(args); err != nil {
		return exit(1) // flag has said why
	}
	if flags.NArg() != 1 {
		return errors.New("run: give the container one id")
	}
	spec, layers, err := readBundle(*bundle)
	if err != nil {
		return err
	}
	if spec.Linux != nil && spec.Linux.CgroupsPath == "" {
		spec.Linux.CgroupsPath = "/glassbox/" + flags.Arg(0)
	}
	o := runtime.Options{Dir: *bundle, Layers: layers, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Explain: *explain != ""}
	c, err := runtime.Create(spec, o)
	if err == nil {
		defer c.Destroy() //nolint:errcheck // reported below where it matters
		err = c.Start()
	}
	if *explain != "" {
		if err := tell(*explain, account(c, err)); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	restore := func() {}
	if console := c.Console(); console != nil {
		restore = connect(console)
	}
	forward(c)
	status, err := c.Wait()
	restore()
	if err := errors.Join(err, c.Destroy()); err != nil {
		return err
	}
	return exit(code(status))
}

// account is what was asked of the kernel, also when the start failed.
func account(c *runtime.Container, err error) []program.Account {
	var u *runtime.Unfinished
	if errors.As(err, &u) {
		return u.Account
	}
	if c == nil {
		return nil
	}
	return c.Account()
}

func readBundle(dir string) (*specs.Spec, *rootfs.Layers, error) {
	var spec specs.Spec
	if err := readJSON(filepath.Join(dir, "config.json"), &spec); err != nil {
		return nil, nil, err
	}
	var layers rootfs.Layers
	err := readJSON(filepath.Join(dir, "layers.json"), &layers)
	if errors.Is(err, os.ErrNotExist) {
		return &spec, nil, nil
	}
	return &spec, &layers, err
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := store.Decode(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// tell writes the account to a file, or for people to stderr.
func tell(where string, accounts []program.Account) error {
	if where == "" {
		return nil
	}
	if where == "-" {
		return program.Write(os.Stderr, accounts, program.Style{})
	}
	b, err := json.Marshal(accounts)
	if err != nil {
		return err
	}
	return os.WriteFile(where, b, 0o644)
}

// code is an exit status as shells give it.
func code(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// forward passes on the signals that reach us, so that Ctrl-C ends the container and not its keeper.
func forward(c *runtime.Container) {
	ch := make(chan os.Signal, 16)
	signal.Notify(ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	go func() {
		for s := range ch {
			if s == unix.SIGWINCH {
				if console := c.Console(); console != nil {
					resize(console)
				}
				continue
			}
			unix.PidfdSendSignal(int(c.Pidfd.Fd()), s.(syscall.Signal), nil, 0) //nolint:errcheck // it may just have ended
		}
	}()
}
