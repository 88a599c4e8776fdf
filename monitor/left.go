package monitor

import (
	"os"
	"path/filepath"
)

// Left names what a monitor that was killed has left in its directory, and one that ends takes away. The caller has seen that there is none.
func Left(dir string) []string {
	var left []string
	for _, name := range append([]string{"sock"}, fifos...) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			left = append(left, name)
		}
	}
	return left
}
