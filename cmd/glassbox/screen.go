package main

import (
	"io"
	"os"

	"glassbox/screen"

	"github.com/spf13/pflag"
)

// plainFlag is --plain, which every command that draws a screen has.
func plainFlag(set *pflag.FlagSet) *bool {
	return set.Bool("plain", false, "No colours, also on a terminal")
}

// style is how a screen is written to w: as wide as its terminal, and coloured only there.
func style(w io.Writer, plain bool) screen.Style {
	s := screen.Style{Colour: !plain && isTerminal(w) && os.Getenv("NO_COLOR") == ""}
	if size, ok := windowSize(w); ok {
		s.Width = int(size.Cols)
	}
	return s
}
