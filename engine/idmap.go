package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

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
	taken, err := delegated("/etc/subuid")
	if err != nil {
		return err
	}
	for range 64 {
		n := firstBlock + rand.IntN(lastBlock-firstBlock)
		if overlaps(taken, uint32(n*block)) {
			continue
		}
		r.Range = strconv.Itoa(n)
		r.IDMap = []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(n * block), Size: block}}
		return nil
	}
	return errors.New("--userns auto: no free block of 65536 host ids found: /etc/subuid hands out nearly all of them")
}

// claimRange makes the block the container's own; another one is tried when somebody was quicker.
func (c *Containers) claimRange(r *record) error {
	if r.Range == "" {
		return nil
	}
	for n, _ := strconv.Atoi(r.Range); n < lastBlock; n++ {
		name := strconv.Itoa(n)
		err := c.root.Ranges().Claim(name, r.ID, func(owner string) bool { return c.lostRange(owner, name) })
		if err == nil {
			r.Range, r.IDMap[0].HostID = name, uint32(n*block)
			return nil
		}
		var taken *store.Taken
		if !errors.As(err, &taken) {
			return err
		}
	}
	return errors.New("--userns auto: all blocks of host ids are taken")
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

// delegated reads subuid(5).
func delegated(path string) ([]idRange, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []idRange
	for line := range strings.Lines(string(data)) {
		parts := strings.Split(strings.TrimSpace(line), ":")
		if len(parts) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(parts[1], 10, 32)
		size, err2 := strconv.ParseUint(parts[2], 10, 32)
		if err1 == nil && err2 == nil {
			out = append(out, idRange{first, size})
		}
	}
	return out, err
}

func overlaps(taken []idRange, first uint32) bool {
	for _, t := range taken {
		if uint64(first) < t.first+t.size && t.first < uint64(first)+block {
			return true
		}
	}
	return false
}
