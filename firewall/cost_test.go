package firewall

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// container is the n-th, with one published port.
func container(n int) *Batch {
	a := netip.AddrFrom4([4]byte{172, 30, byte(n / 250), byte(n%250 + 2)})
	b := &Batch{}
	b.AddMember(Member{Bridge: "glassbox0", Host: fmt.Sprintf("veth%d", n), MAC: net.HardwareAddr{2, 0x42, 0, 0, byte(n / 256), byte(n)}, Addresses: []netip.Addr{a}})
	b.Publish(Port{"tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(10000+n)), netip.AddrPortFrom(a, 80), "glassbox0"})
	return b
}

// TestCost measures what the n-th container costs, and how long it takes to see that all is there.
func TestCost(t *testing.T) {
	s := newSpace(t)
	s.do(t, Rebuild(Desired{Networks: []Network{wide}}).Do)
	var took, asked []time.Duration
	s.do(t, func() error {
		for n := range 210 {
			start := time.Now()
			if err := container(n).Request("", "").Do(); err != nil {
				return err
			}
			took = append(took, time.Since(start))
			start = time.Now()
			if yes, err := Present(); !yes || err != nil {
				return fmt.Errorf("present: %v %v", yes, err)
			}
			asked = append(asked, time.Since(start))
		}
		return nil
	})
	early, late := median(took[1:11]), median(took[195:205])
	t.Logf("a container: %v early, %v as the 200th; Present: %v", early, late, median(asked))
	if early > 1500*time.Microsecond || late > 3*time.Millisecond {
		t.Errorf("a container with one port: %v early, %v late", early, late)
	}
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
