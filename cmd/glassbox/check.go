package main

import (
	"context"
	"fmt"
	"strings"

	"glassbox/engine"
)

func checkVerb() verb {
	return verb{
		use: "check [OPTIONS]", short: "Name what is left over or wrong on this host, and clean it up", max: 0,
		prepare: func(c *call) action {
			dry := c.flags.BoolP("dry-run", "n", false, "Name it, and leave it as it is")
			return func(ctx context.Context, args []string) error { return c.check(!*dry) }
		},
	}
}

// check prints a line for each finding: the object, what is wrong, what was done. The command fails as long as something remains.
func (c *call) check(clean bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	found, err := b.check(clean)
	remain := 0
	for _, f := range found {
		if f.Remains() {
			remain++
		}
		put(c.stdout, "%s\n", findingLine(f))
	}
	switch {
	case err != nil:
		return engineFailure(err)
	case len(found) == 0:
		put(c.stdout, "nothing is left over, nothing is wrong\n")
	case remain > 0:
		return exitStatus(1)
	}
	return nil
}

func findingLine(f engine.Finding) string {
	words := []string{f.Object, f.Wrong}
	switch {
	case f.Failure != nil:
		words = append(words, "it remains: "+strings.ReplaceAll(f.Failure.Error(), "\n", "; "))
	case f.Remains() && f.Remedy != "":
		words = append(words, fmt.Sprintf("it remains (%s)", f.Remedy))
	case f.Remains():
		words = append(words, "it remains")
	default:
		words = append(words, f.Done)
	}
	return strings.Join(words, ": ")
}
