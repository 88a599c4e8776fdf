package world

import (
	"fmt"
	"os"
	"os/exec"
)

// BuildGlassbox puts glassbox and glassrun, static, into dir/glassbox. It is for Run's before: outside, where modules that
// are missing can still be fetched.
func BuildGlassbox(dir string) error {
	if bin := os.Getenv("GLASSBOX_BIN"); bin != "" {
		return os.Symlink(bin, dir+"/glassbox")
	}
	c := exec.Command("go", "build", "-ldflags=-s -w", "-trimpath", "-o", dir+"/glassbox/", "glassbox/cmd/glassbox", "glassbox/cmd/glassrun")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building glassbox: %w\n%s", err, out)
	}
	return nil
}
