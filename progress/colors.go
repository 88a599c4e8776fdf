package progress

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// colors are the terminal's words for them; empty: none.
type colors struct{ done, canceled, failed, log string }

var colorNames = []string{"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}

// environmentColors are BuildKit's, as BUILDKIT_COLORS changes them ("run=green:error=255,0,0"); with NO_COLOR none (no-color.org).
func environmentColors() colors {
	if os.Getenv("NO_COLOR") != "" {
		return colors{}
	}
	c := colors{done: "\033[34m", canceled: "\033[33m", failed: "\033[31m", log: "\033[2m"}
	for field := range strings.SplitSeq(os.Getenv("BUILDKIT_COLORS"), ":") {
		what, color, _ := strings.Cut(field, "=")
		code := colorCode(strings.ToLower(color))
		if code == "" {
			continue
		}
		switch strings.ToLower(what) {
		case "run":
			c.done = code
		case "cancel":
			c.canceled = code
		case "error":
			c.failed = code
		}
	}
	return c
}

// colorCode is a color's sequence by its name, or by red, green and blue; empty: there is none such.
func colorCode(color string) string {
	if color == "default" {
		return "\033[39m"
	}
	first := 30
	name, light := strings.CutPrefix(color, "light-")
	if light {
		first = 90
	}
	for i, n := range colorNames {
		if n == name {
			return fmt.Sprintf("\033[%dm", first+i)
		}
	}
	parts := strings.Split(color, ",")
	if len(parts) != 3 {
		return ""
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 8); err != nil {
			return ""
		}
	}
	return "\033[38;2;" + strings.Join(parts, ";") + "m"
}
