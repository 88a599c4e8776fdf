package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

// confirm asks and reads one line; anything but y means no, and so does end-of-file.
func (c *call) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprint(c.stdout, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.stdout)
		return false, ctx.Err()
	case line := <-answer:
		return strings.EqualFold(strings.TrimSpace(line), "y"), nil
	}
}
