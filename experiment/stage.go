package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"glassbox/engine"
	"glassbox/store"
	"glassbox/tiny"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// stage stands in for the host: the first process of a PID namespace, in mount, UTS, IPC and network namespaces of its own (keep.go makes them).
// Images are the host's; what is made here is kept in memory that only this mount namespace shows. So nothing has to be undone: with its first
// process, however that ends, the kernel ends all others and takes the namespaces away.
type stage struct {
	Request
	*engine.Engine
	Experiment
	root   store.Root
	mounts []string // of the host when the stage was set
	worker *exec.Cmd
}

// stageDir stands for the stage's directory in probes and command lines.
const stageDir = "STAGE"

// dir is a directory that containers can be given.
func (s *stage) dir() string { return filepath.Join(s.root.Run, "stage") }

// Act is what the first process of a stage does: it sets the stage, runs the containers, and writes what came of them.
func Act(in io.Reader, w io.Writer) error {
	s := &stage{root: store.Open()}
	if err := decode(in, &s.Request); err != nil {
		return err
	}
	var known bool
	if s.Experiment, known = Of(s.Request.Name); !known {
		return fmt.Errorf("there is no experiment %s", s.Request.Name)
	}
	var end sync.Mutex // taken by who ends this process
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the keeper ends
		end.Lock()
		s.strike()
	}()
	run, err := s.play()
	end.Lock()
	return errors.Join(answer(w, run, err), sweep(s.Stage))
}

// strike ends all that is on the stage, and the stage.
func (s *stage) strike() {
	_ = unix.Kill(-1, unix.SIGKILL) // every process of this PID namespace but this one
	_ = sweep(s.Stage)              // nobody is left to be told
	os.Exit(1)
}

func (s *stage) play() (*Run, error) {
	if err := s.set(); err != nil {
		return nil, fmt.Errorf("setting the stage: %w", err)
	}
	var err error
	if s.Engine, err = engine.Open(); err != nil {
		return nil, err
	}
	s.Images.Applets = tiny.Names
	if s.prepare != nil && s.own() == "" {
		if err := s.prepare(s); err != nil {
			return nil, fmt.Errorf("setting the stage: %w", err)
		}
	}
	s.mounts = mounts()
	run, err := s.containers(context.Background())
	if err != nil {
		return nil, err
	}
	if s.look != nil && s.own() == "" {
		run.Host = s.look(s)
	}
	return run, nil
}

// own is the user's probe.
func (s *stage) own() string { return s.Request.Probe }

// set makes the stage look like a host. First nothing of it gets out; at the end its mounts are shared among whoever comes to be here, as
// a host's are that systemd has booted.
func (s *stage) set() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount(MS_PRIVATE)", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return os.NewSyscallError("mount(proc)", err)
	}
	for _, name := range []string{"containers", "names", "idranges", "networks", "networknames", "volumes", "projects"} {
		if err := inMemory(filepath.Join(s.root.Data, name)); err != nil {
			return err
		}
	}
	if err := inMemory(s.root.Run); err != nil {
		return err
	}
	if err := unix.Mount("shm", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return os.NewSyscallError("mount(/dev/shm)", err)
	}
	if err := withoutSystemd(); err != nil {
		return err
	}
	if err := os.Mkdir(s.dir(), 0o711); err != nil {
		return err
	}
	if err := applet("ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	return os.NewSyscallError("mount(MS_SHARED)", unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
}

// inMemory covers a directory of the store, so that what is made in it goes with the stage.
func inMemory(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if err := unix.Mount("glassbox-stage", dir, "tmpfs", 0, "mode=711"); err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return nil
}

// withoutSystemd hides the host's: it knows processes by numbers of its own PID namespace, and would put others than ours into groups.
// What is in its directory beside that stays: /run/systemd/resolve, to which /etc/resolv.conf may be a link.
func withoutSystemd() error {
	const dir, resolve = "/run/systemd", "/run/systemd/resolve"
	if _, err := os.Stat(dir + "/system"); err != nil {
		return nil
	}
	names, err := unix.OpenTree(unix.AT_FDCWD, resolve, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil && err != unix.ENOENT {
		return os.NewSyscallError("open_tree", err)
	}
	if err := unix.Mount("glassbox-stage", dir, "tmpfs", 0, "mode=755"); err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	if names < 0 {
		return nil
	}
	defer unix.Close(names)
	if err := os.Mkdir(resolve, 0o755); err != nil {
		return err
	}
	return os.NewSyscallError("move_mount", unix.MoveMount(names, "", unix.AT_FDCWD, resolve, unix.MOVE_MOUNT_F_EMPTY_PATH))
}

// applet runs one of tiny's, which our program can be.
func applet(words ...string) error {
	c := exec.Command("/proc/self/exe")
	c.Args = words
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, said)
	}
	return nil
}

// employ lets the host have a process of its own.
func (s *stage) employ() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sleep := filepath.Join(s.dir(), "sleep") // a process is listed under the name by which it was executed
	if err := os.Symlink(self, sleep); err != nil {
		return err
	}
	s.worker = exec.Command(sleep, "600")
	s.worker.Args[0] = "sleep"
	return s.worker.Start()
}

// employed tells what has become of it.
func (s *stage) employed() []string {
	var left unix.Siginfo
	const look = unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	for range 20 { // a signal takes a moment
		if err := unix.Waitid(unix.P_PID, s.worker.Process.Pid, &left, look, nil); err == nil && left.Signo != 0 {
			err := s.worker.Wait()
			return []string{"the host's process `sleep 600`: ended, " + err.Error()}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return []string{"the host's process `sleep 600`: goes on"}
}

// connect gives the host an interface, and a server that only itself can reach.
func (s *stage) connect() error {
	for _, words := range [][]string{{"link", "add", "host0", "type", "veth", "peer", "name", "host1"}, {"address", "add", "192.0.2.1/24", "dev", "host0"}} {
		if err := applet(append([]string{"ip"}, words...)...); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	const said = "a server of the host answers\n"
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var request [4096]byte
			_, _ = c.Read(request[:]) // what is not read when a connection is closed resets it
			fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
			c.Close()
		}
	}()
	return nil
}

// options are what a container is made with.
func (s *stage) options() engine.Options {
	o := engine.Options{
		Config:     &container.Config{Image: s.Image, AttachStdout: true, AttachStderr: true},
		HostConfig: &container.HostConfig{NetworkMode: "none", Resources: container.Resources{CgroupParent: group(s.Stage)}}, Explain: true, Pull: "never",
	}
	if s.own() != "" {
		o.Config.Entrypoint, o.Config.Cmd = []string{"sh", "-c"}, []string{together + s.own()}
	} else {
		o.Config.Entrypoint, o.Config.Cmd, o.Config.AttachStdin, o.Config.OpenStdin, o.Config.StdinOnce = []string{"sh"}, []string{}, true, true, true
	}
	if apply := s.setting().apply; apply != nil {
		apply(s, &o)
	}
	return o
}

func (s *stage) setting() setting {
	if s.Whole {
		return s.whole
	}
	return s.without
}

// input is what the shell in the container reads: a built-in probe, so that ps does not list all of it with the shell.
func (s *stage) input() io.Reader {
	if s.own() != "" {
		return nil
	}
	return strings.NewReader(strings.ReplaceAll(script(s.probe()), stageDir, s.dir()))
}

// probe is the built-in one of this half.
func (s *stage) probe() []string {
	if !s.Whole && s.Less != nil {
		return s.Less
	}
	return s.Experiment.Probe
}

// containers runs the probe, in two containers after each other where the experiment needs a second.
func (s *stage) containers(ctx context.Context) (*Run, error) {
	run := &Run{Stage: s.Stage}
	times := 1
	if s.twice {
		times = 2
	}
	for n := range times {
		if s.twice {
			run.Output = append(run.Output, "# in the "+[]string{"first", "second"}[n]+" container")
		}
		if err := s.container(ctx, run); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// container runs the probe once, as long as it may take.
func (s *stage) container(ctx context.Context, run *Run) error {
	created, err := s.Containers.Create(ctx, s.options())
	if err != nil {
		return err
	}
	said := &bounded{}
	a, err := s.Containers.StartAttached(ctx, created.ID, engine.Streams{In: s.input(), Out: said, Err: said})
	if err != nil {
		return err
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	run.Exit, err = a.Run(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		run.Ended = "it had not ended after " + s.Timeout.String() + ", and was killed"
		run.Exit, err = 137, s.Containers.Kill(context.WithoutCancel(ctx), created.ID, engine.KillOptions{})
	}
	if err != nil {
		return err
	}
	run.Output = append(run.Output, said.lines()...)
	if said.lost > 0 {
		run.Ended = strings.TrimPrefix(run.Ended+"; ", "; ") + strconv.Itoa(said.lost) + " more bytes of output are not shown"
	}
	run.Account, err = s.Containers.Account(created.ID)
	run.Containers = append(run.Containers, created.ID)
	return errors.Join(err, s.Containers.Cleanup(created.ID))
}
