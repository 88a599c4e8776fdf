package firewall

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"glassbox/test/need"
)

// TestAtOnce has several commands change the table at the same time, over and over, some of them taking away what is not there.
func TestAtOnce(t *testing.T) {
	s := newSpace(t)
	s.do(t, Rebuild(Desired{Networks: []Network{wide}}).Do)
	before := s.ruleset(t)
	var wait sync.WaitGroup
	for worker := range 6 {
		wait.Go(func() {
			err := s.enter(func() error {
				for turn := range 8 {
					own, shared := container(worker*10), container(200)
					for _, r := range []func() error{own.Request("", "").Do, shared.Request("", "").Do, own.Request("", "").Undo, shared.Request("", "").Undo} {
						if err := r(); err != nil {
							return fmt.Errorf("worker %d, turn %d: %w", worker, turn, err)
						}
					}
					if yes, err := Present(); !yes || err != nil {
						return fmt.Errorf("present: %v %v", yes, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	equal(t, s.ruleset(t), before)
}

// TestLeftover: a port whose last owner left its element is sent to the new one.
func TestLeftover(t *testing.T) {
	need.SecondKernel(t)
	s := newSpace(t)
	s.do(t, Rebuild(Desired{Networks: []Network{wide}, Ports: []Port{publish("tcp", "0.0.0.0:8080", "172.30.0.9:80", "glassbox0")}}).Do)
	var b Batch
	b.Publish(publish("tcp", "0.0.0.0:8080", "172.30.0.10:80", "glassbox0"))
	s.do(t, b.Request("", "").Do)
	if out := s.run(t, "nft list map inet glassbox everywhere4"); !strings.Contains(out, "tcp . 8080 : 172.30.0.10 . 80") {
		t.Error(out)
	}
	var n Batch
	n.AddNetwork(fixed)
	s.do(t, n.Request("", "").Do)
	moved := fixed
	moved.Sources = addresses("10.9.0.78", "fd09::78")
	var m Batch
	m.AddNetwork(moved)
	s.do(t, m.Request("", "").Do)
	if out := s.run(t, "nft list map inet glassbox sources4"); !strings.Contains(out, "172.31.0.0/24 : 10.9.0.78") {
		t.Error(out)
	}
}

// TestAnothers: who takes back a port late does not take it from who has it now.
func TestAnothers(t *testing.T) {
	need.SecondKernel(t)
	for _, listen := range []string{"0.0.0.0:8080", "127.0.0.1:8080", "10.9.0.1:8080"} {
		s := newSpace(t)
		s.do(t, Rebuild(Desired{Networks: []Network{wide}}).Do)
		empty := s.ruleset(t)
		old, now := publish("tcp", listen, "172.30.0.9:80", "glassbox0"), publish("tcp", listen, "172.30.0.10:80", "glassbox0")
		var crashed, next, late, last Batch
		crashed.Publish(old)
		next.Publish(now)
		late.Withdraw(old)
		last.Withdraw(now)
		s.do(t, next.Request("", "").Do)
		alone := s.ruleset(t)
		s.do(t, last.Request("", "").Do)
		for _, b := range []*Batch{&crashed, &next, &late} {
			s.do(t, b.Request("", "").Do)
		}
		equal(t, s.ruleset(t), alone)
		s.do(t, last.Request("", "").Do)
		equal(t, s.ruleset(t), empty)
	}
}

// TestLarge rebuilds with more than one message's worth of elements, and one netlink socket buffer's.
func TestLarge(t *testing.T) {
	s := newSpace(t)
	d := Desired{Networks: []Network{wide}}
	for n := range 2000 {
		a := addresses(fmt.Sprintf("172.30.%d.%d", n/250+1, n%250+1))[0]
		d.Members = append(d.Members, Member{Bridge: "glassbox0", Host: fmt.Sprintf("veth%d", n), MAC: first.MAC, Addresses: addresses(a.String())})
		d.Ports = append(d.Ports, publish("tcp", fmt.Sprintf("0.0.0.0:%d", 10000+n), a.String()+":80", "glassbox0"))
	}
	d.Members = d.Members[:1999]
	s.do(t, Rebuild(d).Do)
	if n := strings.Count(s.run(t, "nft list map inet glassbox everywhere4"), "tcp"); n != 2000 {
		t.Errorf("%d ports instead of 2000", n)
	}
}
