package progress

import (
	"fmt"
	"io"
)

// New makes a watcher by what --progress calls it:
//
//	classic (or nothing)  the classic builder's words, on out
//	quiet                 nothing on out but the image's id; after a failure the classic words on err
//	plain                 BuildKit's lines, on err
//	tty                   BuildKit's drawing on err, which must be a terminal
//	auto                  tty where err is a terminal, else plain
//	rawjson               BuildKit's status messages, one a line, on err
func New(mode string, out, err io.Writer) (Watcher, error) {
	switch mode {
	case "", "classic":
		return newClassic(out), nil
	case "quiet":
		return newQuiet(out, err), nil
	case "plain":
		return newBoard(newPlain(err)), nil
	}
	return nil, fmt.Errorf("invalid progress mode %s", mode)
}
