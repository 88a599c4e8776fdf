package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// machine moves the test into a network namespace of its own, which stands for a host. The thread ends with the test.
func machine(t testing.TB) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	carry(t, []program.Request{setUp(here, "lo", "", "")}, nil)
}

// container is a process in a network namespace of its own.
type container struct {
	*Namespace
	pid     string
	process *exec.Cmd
}

// end lets go of the namespace and kills the process: the kernel removes the interfaces in its own time.
func (c container) end(t testing.TB) {
	t.Helper()
	c.Namespace.Close()
	c.process.Process.Kill()
	c.process.Wait()
}

func newContainer(t testing.TB) container {
	t.Helper()
	c := exec.Command("sleep", "1000")
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	n, err := Open(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return container{n, strconv.Itoa(c.Process.Pid), c}
}

// run runs a command on the host.
func run(t testing.TB, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (c container) run(t testing.TB, command string) string {
	t.Helper()
	return run(t, "nsenter -t "+c.pid+" -n "+command)
}

func carry(t testing.TB, requests []program.Request, err error) *program.Ledger {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var l program.Ledger
	if err := l.Carry(requests...); err != nil {
		t.Fatal(err)
	}
	return &l
}

// there runs f in a container's namespace, or on the host for none.
func there(n *Namespace, f func() error) error {
	if n == nil {
		return f()
	}
	return n.Enter(f)
}

// talk sends a datagram from one namespace to an address in another and back.
func talk(from, to *Namespace, address string) error {
	a := net.JoinHostPort(address, "7000")
	var server net.PacketConn
	err := there(to, func() (err error) {
		server, err = net.ListenPacket("udp", a)
		return err
	})
	if err != nil {
		return err
	}
	defer server.Close()
	go echo(server)
	return there(from, func() error { return ask(a) })
}

func echo(server net.PacketConn) {
	b := make([]byte, 100)
	for {
		n, from, err := server.ReadFrom(b)
		if err != nil {
			return
		}
		server.WriteTo(b[:n], from)
	}
}

func ask(address string) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 20 { // a datagram may be lost, as any
		if _, err = c.Write([]byte("hello")); err != nil {
			continue
		}
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err = c.Read(make([]byte, 100)); err == nil {
			return nil
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
	}
	return fmt.Errorf("no answer from %s: %w", address, err)
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// member is the container's interface number n of the test's bridge, which has IPv4 and IPv6.
func member(n int) Interface {
	four := netip.AddrFrom4([4]byte{172, 17, byte(n / 250), byte(n%250 + 1)})
	return Interface{Kind: KindBridge, Master: "glassbox0", Host: fmt.Sprintf("veth%d", n), Name: "eth0", MAC: HardwareAddressOf(four),
		Addresses: prefixes(four.String()+"/16", fmt.Sprintf("fd00::%x/64", n+1)),
		Gateways:  []netip.Addr{netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("fd00::1")}, From: "network bridge"}
}

func bridge() Bridge {
	return Bridge{Name: "glassbox0", Addresses: prefixes("172.17.0.1/16", "fd00::1/64"), From: "network bridge"}
}

func raise(t testing.TB, b Bridge) {
	t.Helper()
	r, err := b.Raise()
	carry(t, r, err)
}
