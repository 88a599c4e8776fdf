package shell

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// options holds the letters given to sh and set; long is a letter's -o name.
type options map[byte]bool

var letters = []struct {
	letter byte
	name   string
}{
	{'a', "allexport"}, {'e', "errexit"}, {'f', "noglob"}, {'i', "interactive"}, {'m', "monitor"}, {'n', "noexec"},
	{'u', "nounset"}, {'v', "verbose"}, {'x', "xtrace"}, {'C', "noclobber"}, {'s', "stdin"}, {'l', "login"},
	{'P', "pipefail"}, // no letter in other shells
}

func (o options) String() string {
	var text []byte
	for _, letter := range slices.Sorted(maps.Keys(o)) {
		if o[letter] && letter != 'P' {
			text = append(text, letter)
		}
	}
	return string(text)
}

func (o options) print(out io.Writer) {
	for _, l := range letters {
		state := "off"
		if o[l.letter] {
			state = "on"
		}
		fmt.Fprintf(out, "%-16s%s\n", l.name, state)
	}
}

// The letters that set takes, and those that only a shell that starts does.
const (
	anytime = "aefmnuvxCP"
	atStart = anytime + "cils"
)

// parse takes options from the front of args; it returns the rest, and whether "--" or an operand ended them.
func (o options) parse(args []string, allowed string, out io.Writer) (rest []string, explicit bool, err error) {
	for len(args) > 0 {
		word := args[0]
		if word == "--" {
			return args[1:], true, nil
		}
		if word == "-" {
			return args[1:], false, nil
		}
		if len(word) < 2 || (word[0] != '-' && word[0] != '+') {
			return args, true, nil
		}
		args = args[1:]
		on := word[0] == '-'
		for _, letter := range []byte(word[1:]) {
			if letter == 'o' {
				if len(args) == 0 {
					o.print(out)
					continue
				}
				if letter = named(args[0]); letter == 0 || strings.IndexByte(allowed, letter) < 0 {
					return nil, false, fmt.Errorf("illegal option %co %s", word[0], args[0])
				}
				args = args[1:]
			} else if letter == 'P' || strings.IndexByte(allowed, letter) < 0 {
				return nil, false, fmt.Errorf("illegal option %c%c", word[0], letter)
			}
			o[letter] = on
		}
	}
	return nil, false, nil
}

func named(name string) byte {
	for _, l := range letters {
		if l.name == name {
			return l.letter
		}
	}
	return 0
}
