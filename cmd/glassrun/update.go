package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// updateContainer is `glassrun update`.
func updateContainer(g globals, args []string) error {
	flags := flagSet("update")
	var r specs.LinuxResources
	var from string
	stringVar(flags, &from, "resources", "r")
	limitFlags(flags, &r)
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	if from != "" {
		r = specs.LinuxResources{}
		if err := readLimits(from, &r); err != nil {
			return err
		}
	}
	return g.store().Update(ids[0], &r)
}

func readLimits(path string, r *specs.LinuxResources) (err error) {
	text := []byte(nil)
	if path == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return fmt.Errorf("resources: %w", err)
	}
	return nil
}

// limitFlags are update's: each sets one field. A part of the resources that no flag names stays nil.
func limitFlags(flags *flag.FlagSet, r *specs.LinuxResources) {
	memory := part(&r.Memory)
	cpu := part(&r.CPU)
	add := func(name string, set func(string) error) { listVar(flags, set, name) }
	add("memory", func(v string) error { return bytes(v, &memory().Limit) })
	add("memory-reservation", func(v string) error { return bytes(v, &memory().Reservation) })
	add("memory-swap", func(v string) error { return bytes(v, &memory().Swap) })
	add("cpu-period", func(v string) error { return number(v, &cpu().Period) })
	add("cpu-quota", func(v string) error { return signed(v, &cpu().Quota) })
	add("cpu-burst", func(v string) error { return number(v, &cpu().Burst) })
	add("cpu-share", func(v string) error { return number(v, &cpu().Shares) })
	add("cpu-idle", func(v string) error { return signed(v, &cpu().Idle) })
	add("cpu-rt-period", func(v string) error { return number(v, &cpu().RealtimePeriod) })
	add("cpu-rt-runtime", func(v string) error { return signed(v, &cpu().RealtimeRuntime) })
	add("cpuset-cpus", func(v string) error { cpu().Cpus = v; return nil })
	add("cpuset-mems", func(v string) error { cpu().Mems = v; return nil })
	add("pids-limit", func(v string) error { return signed(v, &part(&r.Pids)().Limit) })
	add("blkio-weight", func(v string) error {
		n, err := strconv.ParseUint(v, 10, 16)
		weight := uint16(n)
		part(&r.BlockIO)().Weight = &weight
		return err
	})
	for _, name := range []string{"l3-cache-schema", "mem-bw-schema"} {
		add(name, func(string) error { return errors.New("linux.intelRdt is not managed by glassrun") })
	}
}

// part returns what makes a part of the resources when it is first wanted.
func part[T any](at **T) func() *T {
	return func() *T {
		if *at == nil {
			*at = new(T)
		}
		return *at
	}
}

func number(text string, at **uint64) error {
	n, err := strconv.ParseUint(text, 10, 64)
	*at = &n
	return err
}

func signed(text string, at **int64) error {
	n, err := strconv.ParseInt(text, 10, 64)
	*at = &n
	return err
}

// bytes reads a size as people write it: 1024, 64m, 1.5GiB; -1 is no limit.
func bytes(text string, at **int64) error {
	digits := strings.TrimRight(text, "bBiIkKmMgGtTpP ")
	suffix := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text[len(digits):])), "b"), "i")
	shift := 10 * (1 + strings.Index("kmgtp", suffix))
	if suffix == "" {
		shift = 0
	}
	size, err := strconv.ParseFloat(digits, 64)
	if err != nil || len(suffix) > 1 || size < 0 && text != "-1" {
		return fmt.Errorf("invalid size: '%s'", text)
	}
	n := int64(size * float64(int64(1)<<shift))
	*at = &n
	return nil
}
