package progress

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// New makes a watcher by what --progress calls it:
//
//	classic (or nothing)  the classic builder's words, on out
//	quiet                 nothing on out but the image's id; after a failure the classic words on err
//	silent                nothing on out but the image's id; errors in BuildKit's words
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
	case "silent":
		return silent{newBoard(blank{err}), out}, nil
	case "plain":
		return newBoard(newPlain(err)), nil
	case "rawjson":
		return newBoard(newRawJSON(err)), nil
	case "auto", "tty":
		if f, is := err.(*os.File); is && isTerminal(f) {
			return newBoard(newTTY(f)), nil
		}
		if mode == "tty" {
			return nil, errors.New("failed to get console: provided file is not a console")
		}
		return newBoard(newPlain(err)), nil
	}
	return nil, fmt.Errorf("invalid progress mode %s", mode)
}
