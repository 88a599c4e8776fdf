package main

import (
	"bufio"
	"cmp"

	"github.com/docker/cli/cli/command/formatter"
)

// table has a table written and then sends it in few pieces: the formatter writes each cell by itself, and a list of a thousand
// containers has fifteen thousand.
func (c *call) table(format formatter.Format, full bool, write func(formatter.Context) error) error {
	w := bufio.NewWriterSize(c.stdout, 64<<10)
	err := write(formatter.Context{Output: w, Format: format, Trunc: !full})
	return cmp.Or(err, w.Flush())
}
