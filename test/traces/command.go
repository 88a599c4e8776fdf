package traces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"glassbox/test/world"
)

// Place names the world's data and run directories for every command to come.
func Place() {
	os.Setenv("GLASSBOX_ROOT", world.Dir()+"/root")
	os.Setenv("GLASSBOX_RUN", "/run/glassbox")
}

// Binary is the world's glassbox, which world.BuildGlassbox has made.
func Binary() string { return world.Dir() + "/glassbox/glassbox" }

// Glassbox runs one command, for two minutes at most, and returns what it said on both streams.
func Glassbox(args ...string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, Binary(), args...)
	c.WaitDelay = 10 * time.Second // who keeps the command's streams for good is found; a busy machine may take a second
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		return err.Error(), -1
	}
	return string(out), 0
}

// Want runs a command that must end with this code.
func Want(code int, args ...string) error {
	if out, have := Glassbox(args...); have != code {
		return fmt.Errorf("glassbox %s: exit %d, not %d: %s", strings.Join(args, " "), have, code, out)
	}
	return nil
}
