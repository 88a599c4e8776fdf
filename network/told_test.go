package network

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// TestMain plays the story that strace looks at, when the test runs itself again.
func TestMain(m *testing.M) {
	if file := os.Getenv("GLASSBOX_NETWORK_TOLD"); file != "" {
		if err := tellStory(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tellStory does one of everything and writes what it tells of it.
func tellStory(file string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	c := exec.Command("sleep", "1000")
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Process.Kill()
	n, err := Open(c.Process.Pid)
	if err != nil {
		return err
	}
	defer n.Close()
	var l program.Ledger
	for _, chapter := range story(n) {
		requests, err := chapter()
		if err != nil {
			return err
		}
		for _, r := range requests {
			l.Carry(r) // refusals are told, too
		}
	}
	data, err := json.Marshal(l.Account("", "").Host)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

func story(n *Namespace) []func() ([]program.Request, error) {
	b := bridge()
	b.MTU = 1400
	i, j := member(1), member(2)
	i.MTU, i.Sysctls = 1400, map[string]string{"net.ipv4.conf.eth0.log_martians": "1"}
	j.Name, j.MAC, j.Gateways = "eth1", HardwareAddress(), nil
	lan := Interface{Kind: KindMacvlan, Master: "lo", Name: "eth2", MAC: j.MAC, Addresses: prefixes("10.1.0.1/24")}
	always := func(r []program.Request) func() ([]program.Request, error) {
		return func() ([]program.Request, error) { return r, nil }
	}
	return []func() ([]program.Request, error){
		b.Raise, always(i.Plug(n)), always(j.Plug(n)), always(lan.Plug(n)[:1]), // lo carries no macvlan
		always(reroute(n, nil, []Route{{Interface: "eth1"}})), always(reroute(n, []Route{{Interface: "eth1"}}, nil)),
		always([]program.Request{drop5(b)}), b.Lower, b.Raise, i.Rejoin, j.Rejoin,
		func() ([]program.Request, error) { return Forwarding(true) },
		always(j.Cut()), always(j.Unplug(n)), always(i.Unplug(nil)), always(i.Unplug(nil)), b.Lower,
	}
}

// drop5 takes an address away, as somebody might by hand.
func drop5(b Bridge) program.Request {
	return removeAddress(here, b.Addresses[0], &known{name: b.Name}, "", "by hand")
}

// Every message that changes links, addresses or routes, and every setting that is written, is told, with what it says, and nothing is
// told that was not asked, in the same order.
func TestToldIsWhatStraceSees(t *testing.T) {
	need.Root(t)
	need.SecondKernel(t)
	told, seen := traced(t)
	if len(told) < 50 {
		t.Fatalf("only %d requests were told", len(told))
	}
	compareFacts(t, told, seen)
	for name, falsify := range map[string]func([]string) []string{
		"one left out":  func(s []string) []string { return slices.Delete(slices.Clone(s), 7, 8) },
		"one too many":  func(s []string) []string { return slices.Insert(slices.Clone(s), 7, s[3]) },
		"one different": func(s []string) []string { s = slices.Clone(s); s[7] += " mtu 9"; return s },
	} {
		if slices.Equal(falsify(told), seen) {
			t.Errorf("%s is not noticed", name)
		}
	}
}

func compareFacts(t *testing.T, told, seen []string) {
	t.Helper()
	for k := range max(len(told), len(seen)) {
		a, b := "nothing", "nothing"
		if k < len(told) {
			a = told[k]
		}
		if k < len(seen) {
			b = seen[k]
		}
		if a != b {
			t.Fatalf("request %d:\ntold %s\nseen %s", k, a, b)
		}
	}
}

// traced plays the story under strace; both accounts are brought to the same words.
func traced(t *testing.T) (told, seen []string) {
	strace := need.Program(t, "strace")
	dir := t.TempDir()
	trace, account := filepath.Join(dir, "trace"), filepath.Join(dir, "told")
	c := exec.Command(strace, "-f", "-y", "-s", "65536", "-e", "trace=sendto,sendmsg,write,pwrite64", "-o", trace, "/proc/self/exe")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Args[len(c.Args)-1] = exe
	c.Env = append(os.Environ(), "GLASSBOX_NETWORK_TOLD="+account)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var done []program.Done
	data, err := os.ReadFile(account)
	if err == nil {
		err = json.Unmarshal(data, &done)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		told = append(told, toldFacts(d.Call))
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := program.Trace(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		if s := seenFacts(t, c.Call); s != "" {
			seen = append(seen, s)
		}
	}
	return told, seen
}

// toldFacts are what a command line of iproute2 or sysctl asks for, in words that can be compared.
func toldFacts(call string) string {
	call = regexp.MustCompile(`^nsenter (-t \d+ -n|--net=\S+) `).ReplaceAllString(call, "")
	if setting, ok := strings.CutPrefix(call, "sysctl -w "); ok {
		key, value, _ := strings.Cut(setting, "=")
		return "write " + sysctlFile(key) + " " + value
	}
	w := strings.Fields(strings.Replace(call, "ip -6 ", "ip ", 1))
	f := facts{w[1] + " " + w[2]}
	after := func(word string) string {
		if k := slices.Index(w, word); k >= 0 && k+1 < len(w) {
			return w[k+1]
		}
		return ""
	}
	switch w[1] {
	case "link":
		name := w[3]
		if name == "link" {
			name = after("name")
		}
		f.add("name", name)
		f.add("peer", map[bool]string{true: after("name")}[slices.Contains(w, "peer")])
		f.add("type", strings.TrimPrefix(after("type"), "bridge_slave"))
		f.add("mtu", after("mtu"))
		f.add("address", after("address"))
		for _, word := range []string{"up", "down", "master", "netns"} {
			f.flag(word, slices.Contains(w, word))
		}
		f.flag("link", slices.Contains(w[3:], "link"))
		f.flag("hairpin", slices.Contains(w, "hairpin"))
		f.flag("addrgenmode", slices.Contains(w, "addrgenmode"))
	case "addr":
		f.add("address", w[3])
		f.flag("nodad", slices.Contains(w, "nodad"))
		f.flag("broadcast", slices.Contains(w, "brd"))
	case "route":
		f.add("via", after("via"))
	}
	return strings.Join(f, " ")
}

// facts are words in a fixed order.
type facts []string

func (f *facts) add(name, value string) {
	if value != "" {
		*f = append(*f, name+" "+value)
	}
}

func (f *facts) flag(name string, is bool) {
	if is {
		*f = append(*f, name)
	}
}

var (
	writing = regexp.MustCompile(`^p?write(?:64)?\(\d+<(/proc/sys/[^>]*)>, "([^"]*)"`)
	sending = regexp.MustCompile(`^send(?:to|msg)\(.*nlmsg_type=(0x[0-9a-f]+) .*nlmsg_flags=([^,]*),.*}, "((?:\\x[0-9a-f]{2})*)"\]`)
)

// seenFacts are those of a call that strace saw; empty for one that changes nothing of the network. That strace is in another network
// namespace, where it cannot find out that these are messages of rtnetlink, and so shows their bytes.
func seenFacts(t *testing.T, call string) string {
	if m := writing.FindStringSubmatch(call); m != nil {
		return "write " + m[1] + " " + m[2]
	}
	if !strings.Contains(call, "AF_NETLINK") {
		return ""
	}
	m := sending.FindStringSubmatch(call)
	if m == nil {
		t.Fatalf("a netlink message in another form: %s", call)
	}
	kind, err := strconv.ParseUint(m[1], 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	body, err := hex.DecodeString(strings.ReplaceAll(m[3], `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	switch flags := flagsOf(m[2]); kind {
	case unix.RTM_GETLINK, unix.RTM_GETADDR, unix.RTM_GETROUTE:
		return ""
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return linkFacts(kind, flags, body)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return addressFacts(kind, body)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return routeFacts(kind, flags, body)
	}
	return "a message of kind " + m[1]
}

// flagsOf are the flags for which strace has no name here.
func flagsOf(text string) uint64 {
	words := strings.Split(text, "|")
	n, _ := strconv.ParseUint(words[len(words)-1], 0, 16)
	return n
}

func linkFacts(kind, flags uint64, body []byte) string {
	f := facts{"link set"}
	switch {
	case kind == unix.RTM_DELLINK:
		f[0] = "link del"
	case flags&unix.NLM_F_CREATE != 0:
		f[0] = "link add"
	}
	h, a := nl.DeserializeIfInfomsg(body), fields(body[unix.SizeofIfInfomsg:])
	info := fields(a[unix.IFLA_LINKINFO])
	f.add("name", word(a[unix.IFLA_IFNAME]))
	if peer := fields(info[nl.IFLA_INFO_DATA])[nl.VETH_INFO_PEER]; word(info[nl.IFLA_INFO_KIND]) == "veth" {
		p := fields(peer[unix.SizeofIfInfomsg:])
		f.add("peer", word(p[unix.IFLA_IFNAME]))
		for k, v := range p {
			a[k] = v // what is said of the other end counts as said
		}
	}
	f.add("type", word(info[nl.IFLA_INFO_KIND]))
	if n := number(a[unix.IFLA_MTU]); n > 0 {
		f.add("mtu", strconv.Itoa(n))
	}
	f.add("address", net.HardwareAddr(a[unix.IFLA_ADDRESS]).String())
	f.flag("up", h.Change == unix.IFF_UP && h.Flags == unix.IFF_UP)
	f.flag("down", h.Change == unix.IFF_UP && h.Flags == 0)
	f.flag("master", a[unix.IFLA_MASTER] != nil)
	f.flag("netns", a[unix.IFLA_NET_NS_FD] != nil)
	f.flag("link", a[unix.IFLA_LINK] != nil)
	f.flag("hairpin", info[nl.IFLA_INFO_SLAVE_DATA] != nil)
	f.flag("addrgenmode", a[unix.IFLA_AF_SPEC] != nil)
	return strings.Join(f, " ")
}

func addressFacts(kind uint64, body []byte) string {
	f := facts{map[bool]string{true: "addr add", false: "addr del"}[kind == unix.RTM_NEWADDR]}
	h, a := nl.DeserializeIfAddrmsg(body), fields(body[unix.SizeofIfAddrmsg:])
	f.add("address", fmt.Sprintf("%s/%d", net.IP(a[unix.IFA_LOCAL]), h.Prefixlen))
	f.flag("nodad", h.Flags&unix.IFA_F_NODAD != 0)
	f.flag("broadcast", a[unix.IFA_BROADCAST] != nil)
	return strings.Join(f, " ")
}

func routeFacts(kind, flags uint64, body []byte) string {
	f := facts{"route add"}
	switch {
	case kind == unix.RTM_DELROUTE:
		f[0] = "route del"
	case flags&unix.NLM_F_REPLACE != 0:
		f[0] = "route replace"
	}
	if gateway := fields(body[unix.SizeofRtMsg:])[unix.RTA_GATEWAY]; gateway != nil {
		f.add("via", net.IP(gateway).String())
	}
	return strings.Join(f, " ")
}
