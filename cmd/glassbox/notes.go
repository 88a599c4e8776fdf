package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"glassbox/engine"
	"glassbox/screen"
	"glassbox/why"
)

// patience is how long a person at the terminal waits for what may yet be said of a container that was started.
const patience = 300 * time.Millisecond

// publishing are those of the containers that have published ports.
func (c *call) publishing(names []string) (found []string) {
	b, err := c.backend()
	if err != nil {
		return nil
	}
	for _, name := range names {
		i, err := b.containers.Inspect(name, false)
		if err != nil || i.NetworkSettings == nil {
			continue
		}
		for _, to := range i.NetworkSettings.Ports {
			if len(to) > 0 {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

// noteDeaf tells of published ports behind which the process listens on its own loopback only.
func (c *call) noteDeaf(id string) {
	b, err := c.backend()
	if err != nil || !c.explains() {
		return
	}
	sentences, err := b.containers.Deaf(id)
	if err != nil {
		return
	}
	for _, s := range sentences {
		fmt.Fprintf(c.stderr, "%s: %s\n", c.name, s)
	}
}

// noteBlocked tells of others' firewalls that drop what the container's networks forward.
func (c *call) noteBlocked(id string) {
	b, err := c.backend()
	if err != nil || !c.explains() {
		return
	}
	blockers, err := b.containers.Blocked(id)
	if err != nil {
		return
	}
	for _, r := range blockers {
		fmt.Fprintf(c.stderr, "%s: packets between the container's network and others do not pass: %s\n", c.name, r.What)
		why := "every base chain that hooks into forwarding must let a packet pass, and glassbox changes no rule but its own"
		if r.Who != "" {
			why = "that is " + r.Who + "'s; " + why
		}
		card{why: why, check: "nft list ruleset; iptables-legacy -S FORWARD", fix: r.Fix}.print(c.stderr)
	}
}

// noteDenied tells who a file of a mount belongs to, when a process that ended with an error spoke of permission.
func (c *call) noteDenied(id string, code int) {
	b, err := c.backend()
	if err != nil || code == 0 || !c.explains() {
		return
	}
	denials, err := b.containers.Denied(id, "")
	if err != nil {
		return
	}
	for _, d := range denials {
		c.printDenial(d)
	}
}

// noteReadOnly tells which policy stands in the way of a process that ended with an error and spoke of a read-only file system.
func (c *call) noteReadOnly(id string, code int) {
	b, err := c.backend()
	if err != nil || code == 0 || !c.explains() {
		return
	}
	fixed, err := b.containers.ReadOnly(id, "")
	if err != nil {
		return
	}
	for _, f := range fixed {
		fmt.Fprintf(c.stderr, "%s: the process may not change %s: %s is mounted ro by policy, not by rights\n", c.name, screen.Shown(f.File), f.Place)
		card{f.Why, f.Check, screen.Shown(f.Fix), f.Learn}.print(c.stderr)
	}
}

// printDenial shows the numbers on both sides: a kernel compares numbers, and each side has its own names for them.
func (c *call) printDenial(d engine.Denial) {
	fmt.Fprintf(c.stderr, "%s: the process may not %s %s, which is %s on this host\n", c.name, d.Verb, d.Inside, d.Outside)
	card{why: d.Why}.print(c.stderr)
	t := tabwriter.NewWriter(c.stderr, 0, 1, 3, ' ', 0)
	fmt.Fprintf(t, "         %s\tinside\thost\n", d.Mode)
	for _, row := range []struct {
		what string
		who  engine.Identity
	}{{"process's user", d.Process}, {"process's group", d.ProcessGroup}, {"file's owner", d.Owner}, {"file's group", d.Group}} {
		fmt.Fprintf(t, "         %s\t%s\t%s\n", row.what, numbered(row.who.Inside, row.who.InsideName), numbered(row.who.Host, row.who.HostName))
	}
	_ = t.Flush()
	if len(d.Groups) > 0 {
		fmt.Fprintf(c.stderr, "         its other groups: %s\n", strings.Trim(fmt.Sprint(d.Groups), "[]"))
	}
	card{check: "ls -ldn " + d.Outside, fix: d.Fix}.print(c.stderr)
}

func numbered(id uint32, name string) string {
	return fmt.Sprintf("%d %s", id, cmp.Or(name, "(no name)"))
}

// noteEarlyEnd tells what `run -d` hides: a container that was over at once. One that is not is asked whether it hears.
func (c *call) noteEarlyEnd(id string, began time.Time) {
	b, err := c.backend()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	code, err := b.containers.Wait(ctx, id)
	if err != nil {
		c.noteBlocked(id)
		c.noteDeaf(id)
		return
	}
	i, err := b.containers.Inspect(id, false)
	if err != nil {
		return // --rm has removed it
	}
	n := earlyEnd{code: code, after: time.Since(began).Round(time.Millisecond), program: i.Path, stdin: i.Config.OpenStdin, name: i.Name}
	n.print(c.stderr)
	c.noteEnd(id, code)
}

// noteEnd tells what an exit code alone leaves to guess.
func (c *call) noteEnd(id string, code int) {
	c.noteDenied(id, code)
	c.noteReadOnly(id, code)
	b, err := c.backend()
	if err != nil || code < 126 || code == 128+int(syscall.SIGINT) || !c.explains() {
		return
	}
	e, err := b.containers.Evidence(id)
	if err != nil {
		return
	}
	r := why.Container(e, -1)
	if r.Own() {
		return
	}
	fmt.Fprintf(c.stderr, "%s: %s\n", c.name, r.Verdict)
	end := card{why: r.Why, fix: r.Fix}
	if !e.Passing { // else nobody will know any more
		end.check = "glassbox why " + r.Name
	}
	end.print(c.stderr)
}

// noteZombies tells whose fault they are.
func (c *call) noteZombies(name string) {
	b, err := c.backend()
	if err != nil || !c.explains() {
		return
	}
	all, err := b.containers.Zombies(name)
	if err != nil {
		return
	}
	for _, z := range all {
		fmt.Fprintf(c.stderr, "%s: %v\n", c.name, z)
		card{
			why:   "a process that has ended keeps its number until its parent calls wait(2); who loses its parent becomes a child of PID 1. A cgroup does not list its dead, so no top shows them",
			check: fmt.Sprintf("ps -o pid,ppid,stat,comm --ppid %d", z.HostParent), fix: z.Fix(), learn: "zombies",
		}.print(c.stderr)
	}
}
