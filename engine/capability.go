package engine

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"glassbox/linux"
)

// Docker's fourteen, in its order.
func defaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

// available is what this process could hand on: its bounding set.
func available() ([]string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	_, after, _ := strings.Cut(string(status), "\nCapBnd:\t")
	mask, err := strconv.ParseUint(strings.TrimSpace(after[:min(16, len(after))]), 16, 64)
	if err != nil {
		return nil, err
	}
	var have []string
	for _, c := range linux.Capabilities {
		if mask&(1<<c.Value) != 0 {
			have = append(have, c.Text)
		}
	}
	return have, nil
}

func known(name string) bool {
	_, ok := linux.Capabilities.Value(name)
	return ok
}

// normalize brings what users write to CAP_NAME, or ALL.
func normalize(names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	have, err := available()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		n = strings.ToUpper(n)
		if n == "ALL" {
			out = append(out, n)
			continue
		}
		if !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		if !known(n) {
			return nil, invalid("unknown capability: %q", n)
		}
		if !slices.Contains(have, n) {
			return nil, invalid("capability not supported by your kernel or not available in the current environment: %q", n)
		}
		out = append(out, n)
	}
	return out, nil
}

// granted is the set a container gets: Docker's rules for --cap-add, --cap-drop and --privileged.
func granted(adds, drops []string, privileged bool) ([]string, error) {
	if privileged {
		return available()
	}
	if len(adds) == 0 && len(drops) == 0 {
		return defaultCapabilities(), nil
	}
	add, err := normalize(adds)
	if err != nil {
		return nil, err
	}
	drop, err := normalize(drops)
	if err != nil {
		return nil, err
	}
	base := defaultCapabilities()
	switch {
	case slices.Contains(add, "ALL"):
		if base, err = available(); err != nil {
			return nil, err
		}
		add = nil
	case slices.Contains(drop, "ALL"):
		return add, nil
	}
	var out []string
	for _, n := range base {
		if !slices.Contains(drop, n) {
			out = append(out, n)
		}
	}
	for _, n := range add {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}
