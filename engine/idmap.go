package engine

import (
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"glassbox/namespaces"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const block = 1 << 16

// Blocks 16 to 32767: above the ids of people and of most /etc/subuid files, below those that the sign bit spoils.
const firstBlock, lastBlock = 16, 32767

// mapIDs decides the user namespace's map: --userns auto claims a block of host ids of its own, UID:HOST:SIZE says it.
func (c *Containers) mapIDs(r *record, o *Options) error {
	if len(o.UsernsMap) > 0 {
		m, err := parseMaps(o.UsernsMap)
		r.IDMap = m
		return err
	}
	if r.HostConfig.UsernsMode != "auto" {
		return nil
	}
	pool, err := hostIDs()
	if err != nil {
		return err
	}
	for n := range pool.blocks(firstBlock + rand.IntN(lastBlock-firstBlock)) {
		r.own(n)
		return nil
	}
	return pool.exhausted()
}

// own makes the block the one that the container's ids are mapped to.
func (r *record) own(n int) {
	r.Range = strconv.Itoa(n)
	r.IDMap = []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(n * block), Size: block}}
}

// claimRange makes the block the container's own; the next free one is tried when somebody was quicker.
func (c *Containers) claimRange(r *record) error {
	if r.Range == "" {
		return nil
	}
	pool, err := hostIDs()
	if err != nil {
		return err
	}
	first, _ := strconv.Atoi(r.Range)
	for n := range pool.blocks(first) {
		name := strconv.Itoa(n)
		err := c.root.Ranges().Claim(name, r.ID, func(owner string) bool { return c.lostRange(owner, name) })
		if err == nil {
			r.own(n)
			return nil
		}
		var taken *store.Taken
		if !errors.As(err, &taken) {
			return err
		}
	}
	return pool.exhausted()
}

func (c *Containers) lostRange(owner, name string) bool {
	return c.lostBy(owner, func(r *record) bool { return r.Range == name })
}

// parseMaps reads UID:HOST:SIZE, as user_namespaces(7) wants the three numbers.
func parseMaps(texts []string) ([]specs.LinuxIDMapping, error) {
	var maps []specs.LinuxIDMapping
	root := false
	for _, text := range texts {
		var n [3]uint64
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, invalid("invalid --userns map %q: want UID:HOST:SIZE", text)
		}
		for i, p := range parts {
			v, err := strconv.ParseUint(p, 10, 32)
			if err != nil {
				return nil, invalid("invalid --userns map %q: %w", text, err)
			}
			n[i] = v
		}
		if n[2] == 0 || n[0]+n[2] > 1<<32-1 || n[1]+n[2] > 1<<32-1 {
			return nil, invalid("invalid --userns map %q: the range is empty or ends above 4294967294", text)
		}
		root = root || n[0] == 0
		maps = append(maps, specs.LinuxIDMapping{ContainerID: uint32(n[0]), HostID: uint32(n[1]), Size: uint32(n[2])})
	}
	if !root {
		return nil, invalid("invalid --userns map: nothing maps uid 0, so that nobody could own the container's files")
	}
	return maps, nil
}

type idRange struct{ first, size uint64 }

// idPool is what --userns auto gives away: ids that exist where we are, and that nobody was promised.
type idPool struct{ mapped, promised []idRange }

func hostIDs() (p idPool, err error) {
	for _, path := range []string{"/etc/subuid", "/etc/subgid"} {
		ranges, err := idRanges(path, ":", 1)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return p, err
		}
		p.promised = append(p.promised, ranges...)
	}
	p.mapped, err = idRanges("/proc/self/uid_map", "", 0)
	return p, err
}

// blocks are the free ones, from a block on and around.
func (p idPool) blocks(from int) iter.Seq[int] {
	return func(yield func(int) bool) {
		const count = lastBlock - firstBlock
		for i := range count {
			n := firstBlock + (from-firstBlock+i)%count
			if p.free(uint64(n)*block) && !yield(n) {
				return
			}
		}
	}
}

func (p idPool) free(first uint64) bool {
	mapped := slices.ContainsFunc(p.mapped, func(r idRange) bool { return r.first <= first && first+block <= r.first+r.size })
	return mapped && !slices.ContainsFunc(p.promised, func(r idRange) bool { return first < r.first+r.size && r.first < first+block })
}

// exhausted says why no block is left.
func (p idPool) exhausted() error {
	e := &Error{
		Class: InvalidParameter, Text: "--userns auto: no 65536 host ids are left: containers have them, or /etc/subuid and /etc/subgid promise them to users",
		Hint: &Hint{Why: "each container gets a range of its own", Check: "cat /etc/subuid /etc/subgid; glassbox ps -a", Fix: "--userns 0:HOST:SIZE"},
	}
	if namespaces.Nested() {
		e.Text = "--userns auto: glassbox runs in a user namespace here, which has no 65536 ids to give away: containers are in it anyway, without --userns"
		e.Hint = &Hint{Why: "a user namespace hands on only ids that it has itself", Check: "cat /proc/self/uid_map", Fix: "leave --userns out"}
	}
	return e
}

// idRanges reads the ranges of subuid(5), or of a map of user_namespaces(7): lines in which the first id stands in that field, and
// the range's size in the last of three.
func idRanges(path, separator string, field int) ([]idRange, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []idRange
	for line := range strings.Lines(string(data)) {
		parts := strings.Fields(line)
		if separator != "" {
			parts = strings.Split(strings.TrimSpace(line), separator)
		}
		if len(parts) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(parts[field], 10, 32)
		size, err2 := strconv.ParseUint(parts[2], 10, 32)
		if err1 == nil && err2 == nil {
			out = append(out, idRange{first, size})
		}
	}
	return out, nil
}
