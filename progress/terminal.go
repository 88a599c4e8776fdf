package progress

import (
	"io"

	"github.com/moby/term"
)

func isTerminal(w io.Writer) bool {
	_, is := term.GetFdInfo(w)
	return is
}
