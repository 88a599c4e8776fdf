package fields

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// feature tries something of the machine and says what is missing, or "".
type feature func() (missing string)

// controllers needs these of cgroup v2 for new groups.
func controllers(names ...string) feature {
	return func() string {
		have, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		for _, n := range names {
			if !slices.Contains(strings.Fields(string(have)), n) {
				return fmt.Sprintf("the cgroup v2 controller %s in /sys/fs/cgroup", n)
			}
		}
		return ""
	}
}

// file needs this path on the host, or one that matches it.
func file(pattern string) feature {
	return func() string {
		if found, _ := filepath.Glob(pattern); len(found) == 0 {
			return pattern
		}
		return ""
	}
}
