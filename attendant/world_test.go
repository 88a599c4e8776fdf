package attendant

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a network and mount namespace of their own, and lets the test's own program be the glassrun that Spawn
// executes.
func TestMain(m *testing.M) {
	if os.Args[0] == "glassrun" {
		if err := Run(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv("ATTENDANT_TEST_INSIDE") == "" {
		os.Exit(again())
	}
	if err := errors.Join(loopbackUp(), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

// again runs this program inside; who is not root gets a user namespace with that.
func again() int {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), "ATTENDANT_TEST_INSIDE=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// room is what a test has of a container: its directory, its networks, its attendant.
type room struct {
	t      testing.TB
	exe    string
	dir    string
	config Config
	server netip.AddrPort // where names are answered
}

func newRoom(t testing.TB) *room {
	t.Helper()
	r := &room{t: t, exe: "/proc/self/exe", dir: t.TempDir()}
	lock := filepath.Join(r.dir, "lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.config = Config{ID: "c1", Pid: os.Getpid(), Alive: lock, State: filepath.Join(r.dir, "state.json")}
	t.Cleanup(func() {
		if err := Stop(r.dir); err != nil {
			t.Error(err)
		}
		if log, _ := os.ReadFile(filepath.Join(r.dir, logName)); len(log) > 0 {
			t.Errorf("the attendant complained: %s", log)
		}
	})
	return r
}

// zone adds a network; its directory does not exist until the first host has come.
func (r *room) zone(name string) *zoneDir {
	if r.config.Names == nil {
		r.config.Names = &Names{}
	}
	z := Zone{Network: name, Dir: filepath.Join(r.dir, "networks", name)}
	r.config.Names.Zones = append(r.config.Names.Zones, z)
	return &zoneDir{r.t, z.Dir}
}

// forwardTo makes an upstream server known.
func (r *room) forwardTo(servers ...string) {
	if r.config.Names == nil {
		r.config.Names = &Names{}
	}
	r.config.Names.Servers = append(r.config.Names.Servers, servers...)
}

type zoneDir struct {
	t   testing.TB
	dir string
}

// host writes a host's document; names are separated from addresses by their kind.
func (z *zoneDir) host(id string, namesAndAddresses ...string) {
	z.t.Helper()
	h := Host{ID: id}
	for _, s := range namesAndAddresses {
		if a, err := netip.ParseAddr(s); err == nil {
			h.Addresses = append(h.Addresses, a)
		} else {
			h.Names = append(h.Names, s)
		}
	}
	err := os.MkdirAll(z.dir, 0o700)
	if err == nil {
		err = store.Write(filepath.Join(z.dir, id+".json"), h)
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

func (z *zoneDir) remove(id string) {
	z.t.Helper()
	if err := os.Remove(filepath.Join(z.dir, id+".json")); err != nil {
		z.t.Fatal(err)
	}
}

// start spawns the attendant with the sockets of its ports and, if it has names, those of its resolver at 127.0.0.11.
func (r *room) start() *room {
	r.t.Helper()
	sockets := r.ports()
	if r.config.Names != nil {
		sockets = append(sockets, r.resolver("127.0.0.11:0")...)
	}
	r.spawn(sockets)
	return r
}

func (r *room) spawn(sockets []*os.File) {
	r.t.Helper()
	if err := come(Spawn(r.exe, r.dir, r.config, sockets)); err != nil {
		r.t.Fatal(err)
	}
	for _, s := range sockets {
		s.Close()
	}
}

// come waits until the attendant serves.
func come(s *Starting, err error) error {
	if err != nil {
		return err
	}
	return s.Ready()
}

// ports binds what the configuration says; a port 0 becomes a real one.
func (r *room) ports() (sockets []*os.File) {
	r.t.Helper()
	for i := range r.config.Ports {
		p := &r.config.Ports[i]
		if p.Proto == "udp" {
			f, at := r.udp(p.Listen.String())
			p.Listen, sockets = at, append(sockets, f)
			continue
		}
		f, at := r.tcp(p.Listen.String())
		p.Listen, sockets = at, append(sockets, f)
	}
	return sockets
}

// resolver makes a UDP and a TCP socket of the same port.
func (r *room) resolver(at string) []*os.File {
	r.t.Helper()
	u, port := r.udp(at)
	t, _ := r.tcp(port.String())
	r.server = port
	return []*os.File{u, t}
}

func (r *room) udp(at string) (*os.File, netip.AddrPort) {
	r.t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	return r.file(c), c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (r *room) tcp(at string) (*os.File, netip.AddrPort) {
	r.t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	return r.file(l), l.Addr().(*net.TCPAddr).AddrPort()
}

func (r *room) file(s interface{ File() (*os.File, error) }) *os.File {
	r.t.Helper()
	f, err := s.File()
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func until(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: it did not come", what)
		}
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
