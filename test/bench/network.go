package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/test/machines"
)

// networks: bridges, ports and names. Each engine is on a host of its own.
func networks(r *rig, t *table) error {
	if err := r.pushKit(); err != nil {
		return err
	}
	var hosts []*host
	defer func() {
		for _, h := range hosts {
			h.halt()
		}
	}()
	// With its default, the userland proxy: packets that need none pass it by.
	proxied := func() (*host, error) { return r.dockerHost("--userland-proxy-path", *docker+"/docker-proxy") }
	for _, start := range []func() (*host, error){r.glassboxHost, proxied, r.podmanHost} {
		h, err := start()
		if h != nil {
			hosts = append(hosts, h)
		}
		if err != nil {
			return err
		}
	}
	ours, dockers, podmans := hosts[0], hosts[1], hosts[2]
	return errors.Join(
		r.bridgeRuns(t, ours, dockers, podmans),
		r.connects(t, ours, dockers),
		r.published(t, ours, dockers),
		r.betweenContainers(t, ours, dockers),
		r.names(t, ours, dockers),
		r.crowd(t, ours))
}

// bridgeRuns: a whole container on the default bridge.
func (r *rig) bridgeRuns(t *table, ours, dockers, podmans *host) error {
	a := ours.runner("glassbox run", "run", "--rm", r.kit())
	b := dockers.runner("docker run", "run", "--rm", r.kit())
	c := podmans.runner("podman run", "run", "--rm", "--network", "podman", "--pids-limit", "-1", r.kit())
	if err := race([]*runner{a, b, c}, *rounds); err != nil {
		return err
	}
	t.compare("`glassbox run --rm` on the bridge", a, b, 0.1, "≤ 1/10")
	t.compare("`glassbox run --rm` on the bridge", a, c, 0.1, "≤ 1/10")
	return nil
}

// connects: a running container gets a second network.
func (r *rig) connects(t *table, ours, dockers *host) error {
	var both []*runner
	for _, h := range []*host{ours, dockers} {
		if err := h.each([]string{"network", "create", "more"}, []string{"run", "-d", "--name", "joins", r.kit(), "sleep", "1000"}); err != nil {
			return err
		}
		defer h.each([]string{"rm", "-f", "joins"}, []string{"network", "rm", "more"})
		c := h.runner(h.name+" network connect", "network", "connect", "more", "joins")
		c.after = func(int) error { return h.each([]string{"network", "disconnect", "more", "joins"}) }
		both = append(both, c)
	}
	if err := race(both, *rounds); err != nil {
		return err
	}
	t.add("`glassbox network connect` / docker's", spread(both[0]), spread(both[1]), fmt.Sprintf("%.2f", float64(both[0].median())/float64(both[1].median())),
		"< 15 ms", both[0].median() < 15*time.Millisecond)
	return nil
}

// each runs commands of the engine one after the other.
func (h *host) each(commands ...[]string) error {
	for _, c := range commands {
		if _, err := h.run(c...); err != nil {
			return err
		}
	}
	return nil
}

// flow is what arrives at a server from a client (stream.go), again and again.
type flow struct {
	name   string
	flag   string // of this program: -send, or -knock for connections
	client func(args ...string) (string, error)
	target string
	rates  []float64 // bits, or connections, a second
}

// flows measures them in turn, so that a noisy machine is noisy for all.
func flows(all ...*flow) error {
	for round := range 8 {
		for i := range all {
			f := all[(round+i)%len(all)]
			rate, err := f.once()
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			if round > 0 {
				f.rates = append(f.rates, rate)
			}
		}
	}
	return nil
}

func (f *flow) once() (rate float64, err error) {
	for range 20 { // a server that has just been started may not listen yet
		var out string
		if out, err = f.client(f.flag, f.target); err == nil {
			return strconv.ParseFloat(strings.TrimSpace(out), 64)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0, err
}

func (f *flow) median() float64 {
	s := slices.Sorted(slices.Values(f.rates))
	return s[len(s)/2]
}

func (f *flow) String() string {
	if f.flag == "-knock" {
		return fmt.Sprintf("%.0f /s (%.0f)", f.median(), slices.Max(f.rates))
	}
	return fmt.Sprintf("%.1f Gbit/s (%.1f)", f.median()/1e9, slices.Max(f.rates)/1e9)
}

func (t *table) faster(what string, ours, theirs *flow, limit float64, goal string) {
	ratio := ours.median() / theirs.median()
	t.add(what+" / "+theirs.name, ours.String(), theirs.String(), fmt.Sprintf("%.2f", ratio), goal, ratio >= limit)
}

// from runs this program on a machine.
func from(m *machines.Machine) func(args ...string) (string, error) {
	return func(args ...string) (string, error) { return m.Output(self(), args...) }
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// published: what a published port moves, from the machine beside the host, and from the host's own 127.0.0.1, which Docker serves by
// its userland proxy.
func (r *rig) published(t *table, ours, dockers *host) error {
	var across, local, knocks []*flow
	for _, h := range []*host{ours, dockers} {
		if err := h.each([]string{"run", "-d", "--name", "serves", "-p", streamPort + ":" + streamPort, r.kit(), "/opt/bench", "-serve"}); err != nil {
			return err
		}
		defer h.each([]string{"rm", "-f", "serves"})
		across = append(across, &flow{name: h.name + "'s", flag: "-send", client: from(h.beside), target: hostAddress})
		local = append(local, &flow{name: h.name + "'s userland proxy", flag: "-send", client: from(h.Machine), target: "127.0.0.1"})
		knocks = append(knocks, &flow{name: h.name + "'s userland proxy", flag: "-knock", client: from(h.Machine), target: "127.0.0.1"})
	}
	if err := flows(across[0], across[1], local[0], local[1], knocks[0], knocks[1]); err != nil {
		return err
	}
	t.faster("published port, from another machine", across[0], across[1], 0.95, "≥ 1, within 5 % noise")
	t.faster("published port, from 127.0.0.1", local[0], local[1], 2, "≥ 2")
	t.faster("the same, connections", knocks[0], knocks[1], 2, "≥ 2")
	return nil
}

// betweenContainers: two containers of one bridge, and two machines with a cable.
func (r *rig) betweenContainers(t *table, ours, dockers *host) error {
	var all []*flow
	for _, h := range []*host{ours, dockers} {
		if err := h.each([]string{"network", "create", "pair"}, []string{"run", "-d", "--name", "serves", "--network", "pair", r.kit(), "/opt/bench", "-serve"},
			[]string{"run", "-d", "--name", "asks", "--network", "pair", r.kit(), "sleep", "1000"}); err != nil {
			return err
		}
		defer h.each([]string{"rm", "-f", "serves", "asks"}, []string{"network", "rm", "pair"})
		client := func(args ...string) (string, error) {
			return h.run(append([]string{"exec", "asks", "/opt/bench"}, args...)...)
		}
		all = append(all, &flow{name: h.name + "'s", flag: "-send", client: client, target: "serves"})
	}
	server, err := ours.beside.Daemon(func() error { return nil }, self(), "-serve")
	if err != nil {
		return err
	}
	defer server.Stop()
	veth := &flow{name: "a plain veth pair", flag: "-send", client: from(ours.Machine), target: besideAddress}
	if err := flows(all[0], all[1], veth); err != nil {
		return err
	}
	t.faster("container to container", all[0], veth, 0.95, "≥ 1, within 5 % noise")
	t.faster("container to container", all[0], all[1], 0, "")
	return nil
}

// names: a container asks for another one's name ten thousand times a second.
func (r *rig) names(t *table, ours, dockers *host) error {
	type answer struct{ median, slow, answered, asked int }
	var answers []answer
	for _, h := range []*host{ours, dockers} {
		if err := h.each([]string{"network", "create", "names"}, []string{"run", "-d", "--name", "known", "--network", "names", r.kit(), "sleep", "1000"}); err != nil {
			return err
		}
		defer h.each([]string{"rm", "-f", "known"}, []string{"network", "rm", "names"})
		out, err := h.run("run", "--rm", "--network", "names", r.kit(), "/opt/bench", "-ask", "known")
		if err != nil {
			return err
		}
		var a answer
		if _, err := fmt.Sscan(out, &a.median, &a.slow, &a.answered, &a.asked); err != nil {
			return fmt.Errorf("%q: %w", out, err)
		}
		answers = append(answers, a)
	}
	say := func(a answer) string {
		return fmt.Sprintf("%.2f ms, 99 %% in %.1f ms, %.1f %% answered", float64(a.median)/1e6, float64(a.slow)/1e6, 100*float64(a.answered)/float64(a.asked))
	}
	a, b := answers[0], answers[1]
	t.add(fmt.Sprintf("a name, asked for %d times a second", questionRate), say(a), say(b), fmt.Sprintf("%.2f", float64(a.median)/float64(b.median)), "< 1 ms, all answered",
		a.median < 1e6 && a.answered == a.asked)
	return nil
}

// crowd: the time until a container runs on a network that has many already, and on one with a single neighbour. Both networks are on
// one host and take turns, so that they differ in nothing else.
func (r *rig) crowd(t *table, ours *host) error {
	const many = 200
	var all []string
	var both []*runner
	for network, neighbours := range map[string]int{"crowd": many - 1, "pair": 1} {
		if err := ours.each([]string{"network", "create", network}); err != nil {
			return err
		}
		for i := range neighbours {
			name := fmt.Sprintf("%s%d", network, i)
			if err := ours.each([]string{"run", "-d", "--name", name, "--network", network, r.kit(), "sleep", "1000"}); err != nil {
				return err
			}
			all = append(all, name)
		}
		c := ours.runner(network, "run", "-d", "--name", "last", "--network", network, r.kit(), "sleep", "1000")
		c.after = func(int) error { return ours.each([]string{"rm", "-f", "last"}) }
		both = append(both, c)
	}
	slices.SortFunc(both, func(a, b *runner) int { return strings.Compare(a.name, b.name) })
	if err := race(both, *rounds); err != nil {
		return err
	}
	ratio := float64(both[0].median()) / float64(both[1].median())
	t.add("`run -d` of a network's 200th container / its 2nd", spread(both[0]), spread(both[1]), fmt.Sprintf("%.2f", ratio), "≤ 1.3", ratio <= 1.3)
	return ours.each(append([]string{"rm", "-f"}, all...), []string{"network", "rm", "crowd", "pair"})
}
