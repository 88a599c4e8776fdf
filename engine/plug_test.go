package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glassbox/attendant"
	"glassbox/monitor"
	"glassbox/store"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// plugged is a container on a network.
func plugged(name, script string, ports ...string) Options {
	o := shell(script)
	o.HostConfig.NetworkMode = container.NetworkMode(name)
	o.Config.ExposedPorts, o.HostConfig.PortBindings, _ = nat.ParsePortSpecs(ports)
	return o
}

func called(o Options, name string) Options {
	o.Name = name
	return o
}

func (m *machine) sh(command string) string {
	m.t.Helper()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (m *machine) network(name string, o network.CreateOptions) {
	m.t.Helper()
	if _, err := m.Networks.Create(name, o); err != nil {
		m.t.Fatal(err)
	}
}

// clean looks for what must not be left when no container runs.
func (m *machine) clean() {
	m.t.Helper()
	for end := time.Now().Add(5 * time.Second); strings.Contains(m.sh("ip -o link"), ": veth"); time.Sleep(5 * time.Millisecond) {
		// The monitor of a container in the foreground deletes them, and nobody waits for it.
		if time.Now().After(end) {
			m.t.Errorf("interfaces are left:\n%s", m.sh("ip -o link"))
			break
		}
	}
	for line := range strings.Lines(m.sh("nft list table bridge glassbox 2>&1; nft list table inet glassbox 2>&1; true")) {
		if strings.Contains(line, "\"veth") || strings.Contains(line, "tcp . ") || strings.Contains(line, " . tcp") {
			m.t.Errorf("an element is left: %s", line)
		}
	}
	for _, dir := range []string{os.Getenv("GLASSBOX_ROOT") + "/networks/*/addresses/*", os.Getenv("GLASSBOX_RUN") + "/networks/*/endpoints/*", os.Getenv("GLASSBOX_RUN") + "/containers/*/network.json"} {
		if left, _ := filepath.Glob(dir); len(left) > 0 {
			m.t.Errorf("files are left: %q", left)
		}
	}
	if out := m.sh("ss -Hltnu"); strings.TrimSpace(out) != "" {
		m.t.Errorf("sockets are left:\n%s", out)
	}
}

// newNetworks is a machine that has lost all that containers added to it when the test ends.
func newNetworks(t *testing.T) *machine {
	m := newMachine(t)
	t.Cleanup(func() {
		m.removeAll()
		m.clean()
		list, err := m.Networks.List(filters.NewArgs())
		if err != nil {
			t.Error(err)
		}
		for _, n := range list {
			if !predefined(n.Name) {
				m.ok(m.Networks.Remove(n.ID))
			}
		}
		m.sh("ip link del glassbox0 2>/dev/null; nft delete table inet glassbox; nft delete table bridge glassbox; true")
	})
	return m
}

func (m *machine) wantLines(out string, want ...string) {
	m.t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			m.t.Errorf("%q is missing in\n%s", w, out)
		}
	}
}

func TestDefaultBridge(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.detached(called(plugged("bridge", "exec sleep 1000"), "first"))
	gateway := m.inspect("first").NetworkSettings.Gateway
	peer := m.inspect("first").NetworkSettings.IPAddress
	out, errs, code := m.run(plugged("default", "ip -o addr; ip route; cat /etc/hosts; ping -c1 -W2 "+gateway+"; ping -c1 -W2 "+peer))
	if code != 0 {
		t.Fatalf("%d, %s%s", code, out, errs)
	}
	m.wantLines(out, "eth0    inet 172.17.0.3/16", "default via "+gateway+" dev eth0", "172.17.0.3\t", " 0% packet loss")
	m.ok(m.Containers.Stop(bg, "first", StopOptions{Timeout: ptr(0)}))
	m.clean()
}

// A second clone, which a time namespace and a joined PID namespace need, makes another process than the one that was born first: that one gets the
// interfaces, since the first one ends at once.
func TestPlugAfterSecondClone(t *testing.T) {
	m := newNetworks(t)
	id := m.detached(plugged("bridge", "exec sleep 1000"))
	shifted := plugged("bridge", "ip -o addr")
	shifted.TimeOffset = map[string]int64{"boottime": 86400}
	joining := plugged("bridge", "ip -o addr")
	joining.HostConfig.PidMode = container.PidMode("container:" + id)
	for _, o := range []Options{shifted, joining} {
		out, errs, code := m.run(o)
		if code != 0 {
			t.Fatalf("%d, %s%s", code, out, errs)
		}
		m.wantLines(out, "eth0    inet 172.17.0.3/16")
	}
}

func TestInspectOfNetworks(t *testing.T) {
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "10.8.0.0/24"}}}})
	o := called(plugged("lan", "exec sleep 1000", "8080:80", "53/udp"), "web")
	o.Config.Hostname = "box"
	o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		"lan": {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: "10.8.0.9"}, Aliases: []string{"www"}, MacAddress: "02:42:0a:00:00:99"},
	}}
	id := m.detached(o)
	n := m.inspect("web").NetworkSettings
	e := n.Networks["lan"]
	if e == nil || e.IPAddress != "10.8.0.9" || e.IPPrefixLen != 24 || e.Gateway != "10.8.0.1" || e.MacAddress != "02:42:0a:00:00:99" || len(e.EndpointID) != 64 || len(e.NetworkID) != 64 {
		t.Errorf("%+v", e)
	}
	if want := []string{"web", "www", id[:12], "box"}; !slices.Equal(e.DNSNames, want) {
		t.Errorf("%q, want %q", e.DNSNames, want)
	}
	if b := n.Ports["80/tcp"]; len(b) != 2 || b[0] != (nat.PortBinding{HostIP: "0.0.0.0", HostPort: "8080"}) || b[1] != (nat.PortBinding{HostIP: "::", HostPort: "8080"}) {
		t.Errorf("%v", n.Ports)
	}
	if b := n.Ports["53/udp"]; len(b) != 2 || b[0].HostPort != b[1].HostPort || b[0].HostPort < "32768" {
		t.Errorf("a random port is not the same for both families: %v", b)
	}
	if n.IPAddress != "" || n.SandboxKey == "" || len(n.SandboxID) != 64 {
		t.Errorf("%+v", n)
	}
	m.ok(m.Containers.Kill(bg, "web", KillOptions{}))
	n = m.inspect("web").NetworkSettings
	e = n.Networks["lan"]
	if e.IPAddress != "" || e.EndpointID != "" || e.IPAMConfig.IPv4Address != "10.8.0.9" || len(e.DNSNames) != 4 || len(n.Ports) != 0 || n.SandboxID != "" {
		t.Errorf("after the end: %+v, %+v", e, n)
	}
}

func TestRefusedAddresses(t *testing.T) {
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "10.8.0.0/24"}}}})
	m.network("any", network.CreateOptions{})
	with := func(name string, e network.EndpointSettings) error {
		o := plugged(name, "true")
		o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: &e}}
		c, err := m.Containers.Create(bg, o)
		if err == nil {
			err = m.Containers.Start(bg, c.ID)
		}
		return err
	}
	ip := func(a string) network.EndpointSettings {
		return network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: a}}
	}
	m.refuses(with("bridge", ip("1.2.3.4")), "invalid config for network bridge: invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets")
	m.refuses(with("any", ip("1.2.3.4")), "invalid config for network any: invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets")
	m.refuses(with("lan", ip("1.2.3.4")), "invalid config for network lan: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 1.2.3.4")
	m.refuses(with("lan", ip("bogus")), "invalid config for network lan: invalid endpoint settings:\n* invalid IPv4 address: bogus\n* no configured subnet or ip-range contain the IP address bogus")
	m.refuses(with("lan", ip("10.8.0.1")), "failed to set up container networking: Address already in use")
	m.refuses(with("bridge", network.EndpointSettings{Aliases: []string{"a"}}), "invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks")
	m.refuses(with("lan", network.EndpointSettings{MacAddress: "x"}), "invalid config for network lan: invalid MAC address x")
	m.refuses(with("lan", network.EndpointSettings{DriverOpts: map[string]string{sysctlOption: "bogus"}}), "invalid config for network lan: invalid endpoint settings:\nunrecognised network interface sysctl 'bogus'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'")
	m.refuses(with("nonet", network.EndpointSettings{}), "failed to set up container networking: network nonet not found")
	m.refuses(with("lan", network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{LinkLocalIPs: []string{"10.1.1.1"}}}), "failed to set up container networking: invalid link local IP address: 10.1.1.1")
}

func TestNamesOnNetworks(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{})
	m.network("other", network.CreateOptions{})
	id := m.detached(called(plugged("lan", "exec sleep 1000"), "db"))
	stranger := called(plugged("other", "exec sleep 1000"), "stranger")
	m.detached(stranger)
	o := plugged("lan", "nslookup db 127.0.0.11; nslookup "+id[:12]+".lan 127.0.0.11; nslookup base 127.0.0.11; cat /etc/resolv.conf; nslookup stranger.lan 127.0.0.11 && echo found a stranger")
	o.HostConfig.DNS = []string{"127.0.0.1"} // nobody answers there
	o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"lan": {Links: []string{"db:base"}}}}
	out, _, _ := m.run(o)
	address := m.inspect("db").NetworkSettings.Networks["lan"].IPAddress
	if n := strings.Count(out, "Address: "+address) + strings.Count(out, "Address 1: "+address); n != 3 {
		t.Errorf("%d of 3 names are answered with %s:\n%s", n, address, out)
	}
	m.wantLines(out, "nameserver 127.0.0.11", "options ndots:0", "ExtServers: [127.0.0.1]")
	if strings.Contains(out, "found a stranger") {
		t.Errorf("%s", out)
	}
	m.ok(m.Containers.Rename("db", "db2"))
	out, _, code := m.run(plugged("lan", "nslookup db2 127.0.0.11"))
	if code != 0 || !strings.Contains(out, address) {
		t.Errorf("after a rename: %d\n%s", code, out)
	}
	m.ok(m.Containers.Restart(bg, "db2", StopOptions{Timeout: ptr(0)}))
	if out, _, code = m.run(plugged("lan", "nslookup db2 127.0.0.11")); code != 0 {
		t.Errorf("after a restart: %d\n%s", code, out)
	}
}

// greet answers each connection with a word.
const greet = "while :; do echo hello | nc -l -p 80 >/dev/null 2>&1; done"

// hears asks a port of the machine.
func (m *machine) hears(address string) string {
	m.t.Helper()
	var err error
	for range 40 {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			c.SetDeadline(time.Now().Add(time.Second))
			var b [32]byte
			n, readErr := c.Read(b[:])
			c.Close()
			if err = readErr; err == nil {
				return string(b[:n])
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	return err.Error()
}

func TestPublished(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.detached(called(plugged("bridge", greet, "8080:80", "127.0.0.1:8081:80", "[::1]:8082:80"), "web"))
	for _, address := range []string{"127.0.0.1:8080", "192.0.2.1:8080", "[::1]:8080", "127.0.0.1:8081", "[::1]:8082"} {
		if got := m.hears(address); got != "hello\n" {
			t.Errorf("%s: %q", address, got)
		}
	}
	out, _, code := m.run(plugged("bridge", "nc -w 2 192.0.2.1 8080 </dev/null"))
	if out != "hello\n" || code != 0 {
		t.Errorf("from another container, by the host's address: %q, %d", out, code)
	}
	busy := m.create(called(plugged("bridge", "true", "8080:80"), "busy"))
	err := m.Containers.Start(bg, busy)
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Text, "failed to set up container networking: driver failed programming external connectivity on endpoint busy (") ||
		!strings.HasSuffix(e.Text, "): Bind for 0.0.0.0:8080 failed: port is already allocated") || e.Hint == nil || !strings.Contains(e.Hint.Why, "web") {
		t.Errorf("%v, %+v", err, e)
	}
	if s := m.inspect("busy").State; s.Status != "created" || s.ExitCode != 128 || s.Error != err.Error() {
		t.Errorf("%+v", s)
	}
	list, err := m.Containers.List(false, 0, false, filters.NewArgs(filters.Arg("publish", "8081"), filters.Arg("network", "bridge")))
	if err != nil || len(list) != 1 || len(list[0].Ports) != 4 || list[0].Ports[0] != (container.Port{IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp"}) {
		t.Errorf("%v, %+v", err, list)
	}
	m.ok(m.Containers.Stop(bg, "web", StopOptions{Timeout: ptr(0)}))
	l, err := net.Listen("tcp", "0.0.0.0:8080")
	if err != nil {
		t.Fatalf("after stop the port is not free: %v", err)
	}
	defer l.Close()
	err = m.Containers.Start(bg, "web")
	if !errors.As(err, &e) || !strings.HasSuffix(e.Text, ": failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use") || e.Hint == nil || !strings.Contains(e.Hint.Why, fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("%v, %+v", err, e)
	}
}

func TestPortRanges(t *testing.T) {
	m := newNetworks(t)
	for _, name := range []string{"one", "two"} {
		m.detached(called(plugged("bridge", "exec sleep 1000", "9000-9001:90"), name))
	}
	if b := m.inspect("two").NetworkSettings.Ports["90/tcp"]; len(b) != 2 || b[0].HostPort != "9001" {
		t.Errorf("%v", b)
	}
	id := m.create(plugged("bridge", "true", "9000-9001:90"))
	if err := m.Containers.Start(bg, id); err == nil || !strings.HasSuffix(err.Error(), "): all ports are allocated") {
		t.Error(err)
	}
	o := plugged("bridge", "exec sleep 1000")
	o.Config.ExposedPorts = nat.PortSet{"70/tcp": {}, "71/udp": {}}
	o.HostConfig.PublishAllPorts = true
	if ports := m.inspect(m.detached(o)).NetworkSettings.Ports; len(ports["70/tcp"]) != 2 || len(ports["71/udp"]) != 2 {
		t.Errorf("-P: %v", ports)
	}
}

func TestConnect(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.network("inner", network.CreateOptions{Internal: true})
	m.network("lan", network.CreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "10.8.0.0/24"}}}})
	o := called(plugged("inner", "exec sleep 1000", "8080:80"), "box")
	o.Config.Hostname = "box"
	m.detached(o)
	inside := func(command string) string {
		var out strings.Builder
		a, _, err := m.Containers.Exec(bg, "box", ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"sh", "-c", command}, AttachStdout: true, AttachStderr: true}}, Streams{Out: &out, Err: &out})
		m.ok(err)
		_, err = a.Run(bg)
		m.ok(errors.Join(err, a.Close()))
		return out.String()
	}
	if out := inside("ip route"); strings.Contains(out, "default") || len(m.inspect("box").NetworkSettings.Ports) != 0 {
		t.Errorf("on an internal network alone: %s", out)
	}
	l, err := net.Listen("tcp", "0.0.0.0:8080")
	m.ok(err)
	if err := m.Networks.Connect("lan", "box", nil); err == nil || !strings.HasSuffix(err.Error(), ": address already in use") {
		t.Errorf("while somebody else has the port: %v", err)
	}
	m.ok(l.Close())
	m.wantLines(inside("ip -o link | grep -c eth; nslookup box.inner 127.0.0.11"), "1\n", "box.inner")
	if got := m.inspect("box").NetworkSettings.Networks; len(got) != 1 {
		t.Errorf("after a connection that failed: %v", got)
	}
	m.ok(m.Networks.Connect("lan", "box", nil))
	m.wantLines(inside("ip route; cat /etc/hosts; nslookup box.lan 127.0.0.11"), "default via 10.8.0.1 dev eth1", "10.8.0.2\tbox", "10.8.0.2")
	if b := m.inspect("box").NetworkSettings.Ports["80/tcp"]; len(b) != 2 {
		t.Errorf("ports did not follow the gateway: %v", b)
	}
	m.refuses(m.Networks.Connect("lan", "box", nil), "endpoint with name box already exists in network lan")
	m.ok(m.Networks.Disconnect("lan", "box", false))
	if out := inside("ip route; cat /etc/hosts"); strings.Contains(out, "default") || strings.Contains(out, "10.8.0.2") || len(m.inspect("box").NetworkSettings.Ports) != 0 {
		t.Errorf("after disconnect: %s", out)
	}
	m.ok(m.Networks.Disconnect("inner", "box", false))
	if out := inside("ip -o link"); strings.Contains(out, "eth") || len(m.inspect("box").NetworkSettings.Networks) != 0 {
		t.Errorf("on no network: %s", out)
	}
	m.ok(m.Networks.Connect("lan", "box", nil))
	m.ok(m.Containers.Stop(bg, "box", StopOptions{Timeout: ptr(0)}))
	m.clean()
	m.ok(m.Networks.Connect("inner", "box", nil))
	m.ok(m.Containers.Start(bg, "box"))
	if got := m.inspect("box").NetworkSettings.Networks; len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestLinks(t *testing.T) {
	m := newNetworks(t)
	db := called(plugged("bridge", "exec sleep 1000"), "db")
	db.Config.ExposedPorts, db.Config.Env, db.Config.Hostname = nat.PortSet{"5432/tcp": {}}, []string{"A=1"}, "dbhost"
	m.detached(db)
	linked := func(script string) Options {
		o := called(plugged("bridge", script), "app")
		o.HostConfig.Links = []string{"db:base"}
		return o
	}
	out, _, _ := m.run(linked("env; cat /etc/hosts"))
	m.wantLines(out, "BASE_PORT=tcp://172.17.0.2:5432", "BASE_NAME=/app/base", "BASE_ENV_A=1", "172.17.0.2\tbase dbhost db\n")
	if l := m.inspect("app").HostConfig.Links; !slices.Equal(l, []string{"/db:/app/base"}) {
		t.Errorf("%q", l)
	}
	m.ok(m.Containers.Stop(bg, "db", StopOptions{Timeout: ptr(0)}))
	m.refuses(m.Containers.Start(bg, "app"), "Cannot link to a non running container: /db AS /app/base")
	o := linked("true")
	o.Name, o.HostConfig.Links = "x2", []string{"nope:n"}
	_, err := m.Containers.Create(bg, o)
	m.refuses(err, "could not get container for nope: No such container: nope")
	// Another container takes the address, so that the restarted one gets another.
	m.ok(m.Containers.Start(bg, "db"))
	m.ok(m.Containers.Remove(bg, "app", true, false))
	m.detached(linked("exec sleep 1000"))
	m.ok(m.Containers.Stop(bg, "db", StopOptions{Timeout: ptr(0)}))
	m.detached(called(plugged("bridge", "exec sleep 1000"), "squatter"))
	m.ok(m.Containers.Start(bg, "db"))
	hosts, err := os.ReadFile(m.inspect("app").HostsPath)
	if err != nil || !strings.Contains(string(hosts), m.inspect("db").NetworkSettings.IPAddress+"\tbase dbhost db\n") {
		t.Errorf("the link did not follow: %v\n%s", err, hosts)
	}
	m.refuses(m.Containers.Unlink(bg, "app"), "Conflict, cannot remove the default link name of the container")
	m.refuses(m.Containers.Unlink(bg, "app/nope"), "No such container: app/nope")
	m.ok(m.Containers.Unlink(bg, "/app/base"))
	hosts, err = os.ReadFile(m.inspect("app").HostsPath)
	if l := m.inspect("app").HostConfig.Links; err != nil || len(l) != 0 || strings.Contains(string(hosts), "base") {
		t.Errorf("the link is not gone: %v %v\n%s", l, err, hosts)
	}
}

func TestSharedNetworkNamespace(t *testing.T) {
	m := newNetworks(t)
	m.detached(called(plugged("bridge", "exec sleep 1000"), "donor"))
	m.detached(called(plugged("container:donor", "exec sleep 1000"), "guest"))
	if n := m.inspect("guest").NetworkSettings; len(n.Networks) != 0 || n.SandboxID != "" {
		t.Errorf("%+v", n)
	}
	m.refuses(m.Networks.Connect("bridge", "guest", nil), "container sharing network namespace with another container or host cannot be connected to any other network")
	m.ok(m.Containers.Stop(bg, "donor", StopOptions{Timeout: ptr(0)}))
	m.clean() // though the guest still holds the namespace
	m.ok(m.Containers.Kill(bg, "guest", KillOptions{}))
	m.refuses(m.Containers.Start(bg, "guest"), "cannot join network namespace of a non running container: container donor is exited")
	id := m.create(called(plugged("container:nope", "true"), "lonely"))
	m.refuses(m.Containers.Start(bg, id), "joining network namespace of container: No such container: nope")
	id = m.create(called(plugged("container:self", "true"), "self"))
	m.refuses(m.Containers.Start(bg, id), "cannot join own network namespace")
}

func TestAttendantKilled(t *testing.T) {
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{})
	id := m.detached(called(plugged("lan", greet, "8080:80"), "web"))
	lock := m.Containers.root.Container(id).Run + "/attendant.lock"
	pid, err := os.ReadFile(lock)
	m.ok(err)
	m.sh("kill -9 " + strings.TrimSpace(string(pid)))
	for {
		running, err := attendant.Running(filepath.Dir(lock))
		m.ok(err)
		if !running {
			break
		}
		time.Sleep(time.Millisecond)
	}
	m.inspect("web")
	if got := m.hears("[::1]:8080"); got != "hello\n" {
		t.Errorf("%q", got)
	}
	if out, _, code := m.run(plugged("lan", "nslookup web 127.0.0.11")); code != 0 {
		t.Errorf("%s", out)
	}
}

func TestDeletedByHandIsMended(t *testing.T) {
	m := newNetworks(t)
	m.detached(called(plugged("bridge", greet, "8080:80"), "web"))
	for _, harm := range []string{"ip link del glassbox0", "nft delete table inet glassbox; nft delete table bridge glassbox"} {
		m.sh(harm)
		var told []string
		m.Networks.Warn, m.Networks.mended = func(message string) { told = append(told, message) }, sync.Map{}
		if _, err := m.Containers.List(false, 0, false, filters.NewArgs()); err != nil {
			t.Fatal(err)
		}
		if got := m.hears("127.0.0.1:8080"); got != "hello\n" {
			t.Errorf("after %q: %q", harm, got)
		}
		if len(told) != 1 || !strings.Contains(told[0], "glassbox") {
			t.Errorf("told after %q: %q", harm, told)
		}
	}
}

func TestEverythingKilled(t *testing.T) {
	m := newNetworks(t)
	id := m.detached(called(plugged("bridge", "exec sleep 1000", "8080:80"), "web"))
	var s monitor.State
	m.ok(store.Read(m.Containers.root.Container(id).State(), &s))
	m.ok(syscall.Kill(s.MonitorPid, syscall.SIGKILL))
	m.ok(syscall.Kill(s.Pid, syscall.SIGKILL))
	for range 100 {
		if !s.Alive() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Whoever needs the port or the address finds that nobody has them.
	m.detached(called(plugged("bridge", "exec sleep 1000", "8080:80"), "next"))
	m.ok(m.Containers.Remove(bg, "next", true, false))
	if _, err := m.Containers.List(true, 0, false, filters.NewArgs()); err != nil {
		t.Error(err)
	}
	m.clean()
}

func TestFailedStartTakesAllBack(t *testing.T) {
	m := newNetworks(t)
	o := plugged("bridge", "", "8080:80")
	o.Config.Cmd = []string{"/no/such/program"}
	if err := m.Containers.Start(bg, m.create(o)); err == nil {
		t.Error("started")
	}
	m.clean()
	o.HostConfig.AutoRemove = true
	id := m.create(o)
	if err := m.Containers.Start(bg, id); err == nil {
		t.Error("started")
	}
	m.clean()
	m.leavesNothing(id)
}

func TestEndsByItself(t *testing.T) {
	m := newNetworks(t)
	m.detached(plugged("bridge", "sleep 0.1", "8080:80"))
	for range 200 {
		if _, err := filepath.Glob(os.Getenv("GLASSBOX_RUN") + "/containers/*/network.json"); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(os.Getenv("GLASSBOX_RUN") + "/containers/*/network.json"); len(left) == 0 {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	m.clean()
}

func TestNetworkOfUserNamespace(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{})
	m.detached(called(plugged("lan", "exec sleep 1000"), "db"))
	o := plugged("lan", "ip -o addr; nslookup db 127.0.0.11; ping -c1 -W2 db")
	o.HostConfig.UsernsMode = "auto"
	out, errs, code := m.run(o)
	if code != 0 || !strings.Contains(out, " 0% packet loss") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

func TestExplainedNetwork(t *testing.T) {
	m := newNetworks(t)
	m.network("lan", network.CreateOptions{})
	o := plugged("lan", "true", "8080:80")
	o.Explain = true
	plan, err := m.Containers.Plan(bg, o)
	m.ok(err)
	m.run(o)
	ids, _ := m.Containers.root.IDs()
	account, err := m.Containers.Account(ids[0])
	m.ok(err)
	if len(plan) != len(account) {
		t.Fatalf("%d phases were planned, %d ran", len(plan), len(account))
	}
	for i := range account {
		if account[i].Phase != plan[i].Phase {
			t.Errorf("phase %s, planned as %s", account[i].Phase, plan[i].Phase)
		}
		if account[i].Phase != "network" {
			continue
		}
		// The resolver's ports are known only when its sockets are there.
		if len(account[i].Host) != len(plan[i].Host)+1 || account[i+1].Phase != "start" {
			a, _ := json.MarshalIndent(account[i].Host, "", " ")
			b, _ := json.MarshalIndent(plan[i].Host, "", " ")
			t.Errorf("%d requests were planned, %d ran:\n%s\n%s", len(plan[i].Host), len(account[i].Host), b, a)
		}
	}
}

func TestDeaf(t *testing.T) {
	m := newNetworks(t)
	id := m.detached(called(plugged("bridge", "exec busybox httpd -f -p 127.0.0.1:80", "8080:80"), "dev"))
	said := []string{}
	for range 100 {
		var err error
		said, err = m.Containers.Deaf(id)
		m.ok(err)
		if len(said) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(said) != 1 || !strings.Contains(said[0], "127.0.0.1:80 only") {
		t.Errorf("%q", said)
	}
}

func TestGateway(t *testing.T) {
	place := func(name string, priority int, internal bool, addresses ...string) endpoint {
		e := endpoint{Name: name, Network: name, Priority: priority, Internal: internal}
		for _, a := range addresses {
			p := netip.MustParsePrefix(a)
			e.Interface.Addresses = append(e.Interface.Addresses, p)
			e.Gateways = append(e.Gateways, p.Masked().Addr().Next())
		}
		return e
	}
	for _, test := range []struct {
		want4, want6 string
		endpoints    []endpoint
	}{
		{"a", "", []endpoint{place("b", 0, false, "10.1.0.2/24"), place("a", 0, false, "10.2.0.2/24")}},
		{"b", "", []endpoint{place("b", 1, false, "10.1.0.2/24"), place("a", 0, false, "10.2.0.2/24")}},
		{"b", "b", []endpoint{place("b", 0, false, "10.1.0.2/24", "fd00::2/64"), place("a", 0, false, "10.2.0.2/24")}},
		{"b", "", []endpoint{place("b", 0, false, "10.1.0.2/24"), place("a", 9, true, "10.2.0.2/24")}},
		{"", "", []endpoint{place("a", 0, true, "10.2.0.2/24")}},
		{"a", "b", []endpoint{place("b", 0, false, "fd00::2/64"), place("a", 0, false, "10.2.0.2/24")}},
	} {
		w := wiring{Endpoints: test.endpoints}
		w.lead()
		for v6, want := range map[bool]string{false: test.want4, true: test.want6} {
			got := ""
			if e := w.provider(v6); e != nil {
				got = e.Name
			}
			if got != want {
				t.Errorf("%v: IPv6 %v leads through %q, want %q", test.endpoints, v6, got, want)
			}
		}
	}
}

func TestHexAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90": "127.0.0.1:8080", "00000000:0035": "0.0.0.0:53", "00000000000000000000000001000000:0050": "[::1]:80",
	} {
		got, ok := parseHexAddress(text)
		if !ok || got.String() != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "zz", "0100007F", "0100007F:99999", "01:50", "0100007G:0050"} {
		if got, ok := parseHexAddress(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestParseLink(t *testing.T) {
	for text, want := range map[string]string{"db": "db db", "db:base": "db base", "/db:/app/base": "db base"} {
		name, alias, err := parseLink(text)
		if got := name + " " + alias; got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a:b:c"} {
		if _, _, err := parseLink(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestLinkVariables(t *testing.T) {
	got := portVariables("DB", "10.0.0.2", []nat.Port{"5432/tcp", "5433/tcp", "53/udp"})
	want := "DB_PORT=tcp://10.0.0.2:5432 DB_PORT_5432_TCP=tcp://10.0.0.2:5432 DB_PORT_5432_TCP_ADDR=10.0.0.2 DB_PORT_5432_TCP_PORT=5432 DB_PORT_5432_TCP_PROTO=tcp " +
		"DB_PORT_5433_TCP=tcp://10.0.0.2:5433 DB_PORT_5433_TCP_ADDR=10.0.0.2 DB_PORT_5433_TCP_PORT=5433 DB_PORT_5433_TCP_PROTO=tcp " +
		"DB_PORT_53_UDP=udp://10.0.0.2:53 DB_PORT_53_UDP_ADDR=10.0.0.2 DB_PORT_53_UDP_PORT=53 DB_PORT_53_UDP_PROTO=udp " +
		"DB_PORT_5432_TCP_START=tcp://10.0.0.2:5432 DB_PORT_5432_TCP_PORT_START=5432 DB_PORT_5432_TCP_END=tcp://10.0.0.2:5433 DB_PORT_5432_TCP_PORT_END=5433"
	if strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}

func TestPublishingsOrder(t *testing.T) {
	exposed, bindings, err := nat.ParsePortSpecs([]string{"80", "8081:81", "[::1]:8086:86", "9000-9003:90", "127.0.0.1:8082:82/udp", "8087:81"})
	if err != nil {
		t.Fatal(err)
	}
	r := &record{Config: &container.Config{ExposedPorts: exposed}, HostConfig: &container.HostConfig{PortBindings: bindings}}
	all, err := r.publishings()
	var got []string
	for _, p := range all {
		got = append(got, fmt.Sprintf("%v:%d-%d:%d/%s", p.host, p.first, p.last, p.target, p.proto))
	}
	want := "invalid IP:8081-8081:81/tcp invalid IP:8087-8087:81/tcp 127.0.0.1:8082-8082:82/udp ::1:8086-8086:86/tcp invalid IP:0-0:80/tcp invalid IP:9000-9003:90/tcp"
	if strings.Join(got, " ") != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
