package main

import (
	"fmt"
	"io"
	"strings"
)

// note prints what is good to know, as Docker does.
func (c *call) note(to io.Writer, text string) {
	c.boxed(to, text, " Info -> ", "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m")
}

// caution prints what may surprise.
func (c *call) caution(to io.Writer, text string) {
	c.boxed(to, text, " Warn -> ", "\x1b[1m\x1b[103m\x1b[30mw\x1b[0m\x1b[0m \x1b[93mWarn → \x1b[0m\x1b[0m")
}

// boxed puts a heading before the first line, and as much space before the others.
func (c *call) boxed(to io.Writer, text, plain, fancy string) {
	heading, line := plain, "%s\n"
	if isTerminal(to) {
		heading, line = fancy, "\x1b[3m%s\x1b[0m\n"
	}
	fmt.Fprint(to, "\n", heading)
	for i, l := range strings.Split(text, "\n") {
		if i > 0 {
			fmt.Fprint(to, strings.Repeat(" ", len(plain)))
		}
		fmt.Fprintf(to, line, l)
	}
}
