package network

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"glassbox/program"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "write the plans as they are into testdata")

func addresses(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func plans() map[string][]program.Request {
	tuned := member(1)
	tuned.MTU, tuned.MAC = 1400, nil
	tuned.Sysctls = map[string]string{"net.ipv4.conf.eth0.log_martians": "1", "net.ipv4.conf.eth0.forwarding": "0"}
	dotted := member(2)
	dotted.Name, dotted.Sysctls = "lan.7", map[string]string{"net.ipv4.conf.lan.7.tag": "a b"}
	asked := member(3)
	asked.MAC = []byte{2, 0, 0, 0, 0, 7}
	lan := Interface{Kind: KindMacvlan, Master: "eth0.10", Host: "mac1a2b3c4", Name: "eth0", MAC: HardwareAddressOf(netip.MustParseAddr("192.168.7.2")),
		Addresses: prefixes("192.168.7.2/24", "fd07::2/64"), Gateways: addresses("192.168.7.1"), From: "network lan"}
	vepa := Interface{Kind: KindMacvlan, Master: "eth0", Mode: "vepa", Name: "eth1", Addresses: prefixes("10.0.0.2/24")}
	l2 := Interface{Kind: KindIPvlan, Master: "eth0", Name: "eth0", MAC: lan.MAC, Addresses: prefixes("192.168.8.2/24"), Gateways: addresses("192.168.8.1"), MTU: 9000}
	l3 := Interface{Kind: KindIPvlan, Master: "eth0", Mode: "l3", Flag: "private", Name: "eth0", Addresses: prefixes("10.3.0.2/24", "fd03::2/64"), Gateways: addresses("0.0.0.0", "::")}
	return map[string][]program.Request{
		"bridge":                bridge().make(),
		"bridge-isolated":       Bridge{Name: "br-0123456789ab", MTU: 1400}.make(),
		"bridge-lower":          {remove(here, "glassbox0", "network bridge", "remove the network's bridge, and its addresses and routes with it")},
		"plug":                  member(1).Plug(nil),
		"plug-link-local":       Interface{Kind: KindBridge, Master: "b", Host: "v", Name: "eth0", MAC: HardwareAddressOf(netip.MustParseAddr("10.0.0.2")), Addresses: prefixes("10.0.0.2/24", "169.254.7.7/16", "fe80::7/64")}.Plug(nil),
		"plug-tuned":            tuned.Plug(nil),
		"plug-dotted":           dotted.Plug(nil),
		"plug-hardware-address": asked.Plug(nil),
		"plug-path":             member(1).Plug(&Namespace{name: "/run/netns/web", typed: "nsenter --net=/run/netns/web "}),
		"macvlan":               append(lan.Plug(nil), lan.Unplug(nil)...),
		"macvlan-vepa":          vepa.Plug(nil),
		"ipvlan-l2":             l2.Plug(nil),
		"ipvlan-l3":             l3.Plug(nil),
		"unplug":                append(member(1).Cut(), member(1).Unplug(nil)...),
		"reroute":               Reroute(nil, []Route{over("eth1", netip.MustParseAddr("10.0.0.1")), over("eth0", netip.MustParseAddr("fd00::1"))}),
	}
}

// What a plan says, without asking the kernel: testdata/NAME.txt.
func TestGolden(t *testing.T) {
	for name, requests := range plans() {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			for _, r := range requests {
				fmt.Fprintf(&got, "%s\n\t%s", r.Call, r.Why)
				if r.From != "" {
					fmt.Fprintf(&got, " (%s)", r.From)
				}
				fmt.Fprintln(&got)
			}
			file := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the plan has changed (run with -update if that is wanted):\n%s", diff.Diff(file, want, "now", got.Bytes()))
			}
		})
	}
}
