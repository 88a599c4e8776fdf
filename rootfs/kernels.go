package rootfs

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Kernels are the places where the host has a whole proc or sysfs, innermost first.
func Kernels() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for the host's proc and sysfs: %w", err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		w := strings.Fields(left)
		kind, _, _ := strings.Cut(right, " ")
		if len(w) > 4 && w[3] == "/" && (kind == "proc" || kind == "sysfs") {
			list = append(list, unescaped(w[4]))
		}
	}
	slices.Reverse(list)
	return list, nil
}

// unescaped is a path as mountinfo writes it: proc_pid_mountinfo(5).
func unescaped(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
