package tiny

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// call is one invocation of an applet.
type call struct {
	name  string
	usage string
	args  []string
	in    io.Reader
	out   *bufio.Writer
	err   io.Writer
	wide  bool
	bad   int // the exit status so far, of an applet that goes on after an error
}

func (c *call) print(words ...string) {
	for _, word := range words {
		c.out.WriteString(word)
	}
}

func (c *call) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// errorf tells of an error after what was printed before it, and makes the applet end with 1.
func (c *call) errorf(format string, args ...any) {
	c.out.Flush()
	fmt.Fprintf(c.err, c.name+": "+format+"\n", args...)
	c.bad = 1
}

// fail is errorf for an error that ends the applet.
func (c *call) fail(format string, args ...any) int {
	c.errorf(format, args...)
	return 1
}

func (c *call) help() int {
	fmt.Fprintf(c.err, "Usage: %s %s\n", base(c.name), c.usage)
	return 0
}

func (c *call) misused(format string, args ...any) int {
	if format != "" {
		c.errorf(format, args...)
	}
	c.help()
	return 1
}

// reason words an error as the C library does.
func reason(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		text := errno.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	if errors.Is(err, os.ErrNotExist) {
		return "No such file or directory"
	}
	return err.Error()
}

// options are what stood before the operands.
type options struct {
	c      *call
	order  []option
	rest   []string
	failed bool
}

type option struct {
	letter byte
	value  string
}

// options reads short options by getopt(3)'s spec: "n:v" takes a value after -n, "I::" perhaps one in the same word. A leading + stops
// at the first operand. long are "name=n"; for an option without a short form "name=N" takes no value, "name=N:" takes one and
// "name=N?" perhaps one, with an N that spec does not hold. Operands may stand between options, as with GNU's getopt. When the
// words make no sense the usage is printed and ok is false.
func (c *call) options(spec string, long ...string) (o *options, ok bool) {
	o = &options{c: c}
	spec, inOrder := strings.CutPrefix(spec, "+")
	args := c.args
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			o.rest = append(o.rest, args...)
			return o, true
		case strings.HasPrefix(word, "--"):
			if args, ok = o.long(spec, long, word[2:], args); !ok {
				return nil, false
			}
		case len(word) > 1 && word[0] == '-':
			if args, ok = o.short(spec, word[1:], args); !ok {
				return nil, false
			}
		default:
			o.rest = append(o.rest, word)
			if inOrder {
				o.rest = append(o.rest, args...)
				return o, true
			}
		}
	}
	return o, true
}

func (o *options) long(spec string, names []string, word string, args []string) ([]string, bool) {
	word, value, given := strings.Cut(word, "=")
	if word == "help" {
		o.c.help()
		return nil, false
	}
	for _, name := range names {
		long, letter, _ := strings.Cut(name, "=")
		if long != word {
			continue
		}
		may := strings.HasSuffix(letter, "?") || perhaps(spec, letter[0])
		must := strings.HasSuffix(letter, ":") || takes(spec, letter[0]) && !may
		switch {
		case must && !given && len(args) == 0:
			o.c.misused("option '--%s' requires an argument", word)
			return nil, false
		case must && !given:
			value, args = args[0], args[1:]
		case given && !must && !may:
			o.c.misused("option '--%s' doesn't allow an argument", word)
			return nil, false
		}
		o.order = append(o.order, option{letter[0], value})
		return args, true
	}
	o.c.misused("unrecognized option '--%s'", word)
	return nil, false
}

func (o *options) short(spec, word string, args []string) ([]string, bool) {
	for i := 0; i < len(word); i++ {
		letter := word[i]
		if strings.IndexByte(spec, letter) < 0 || letter == ':' {
			o.c.misused("invalid option -- '%c'", letter)
			return nil, false
		}
		if !takes(spec, letter) {
			o.order = append(o.order, option{letter: letter})
			continue
		}
		value := word[i+1:]
		if value == "" && !perhaps(spec, letter) {
			if len(args) == 0 {
				o.c.misused("option requires an argument -- '%c'", letter)
				return nil, false
			}
			value, args = args[0], args[1:]
		}
		o.order = append(o.order, option{letter, value})
		return args, true
	}
	return args, true
}

func takes(spec string, letter byte) bool {
	i := strings.IndexByte(spec, letter)
	return i >= 0 && i+1 < len(spec) && spec[i+1] == ':'
}

func perhaps(spec string, letter byte) bool {
	i := strings.IndexByte(spec, letter)
	return i >= 0 && strings.HasPrefix(spec[i+1:], "::")
}

// last is which of the letters was given last, of options that override one another; 0 for none.
func (o *options) last(letters string) (letter byte) {
	for _, opt := range o.order {
		if strings.IndexByte(letters, opt.letter) >= 0 {
			letter = opt.letter
		}
	}
	return letter
}

func (o *options) has(letter byte) bool {
	for _, opt := range o.order {
		if opt.letter == letter {
			return true
		}
	}
	return false
}

// letters are the options given.
func (o *options) letters() string {
	var text []byte
	for _, opt := range o.order {
		text = append(text, opt.letter)
	}
	return string(text)
}

// value is that of the last such option, or the default.
func (o *options) value(letter byte, absent string) string {
	for _, opt := range o.order {
		if opt.letter == letter {
			absent = opt.value
		}
	}
	return absent
}

func (o *options) values(letter byte) (all []string) {
	for _, opt := range o.order {
		if opt.letter == letter {
			all = append(all, opt.value)
		}
	}
	return all
}

// number is an option's number, with the suffixes k, m and so on; what is none is reported and remembered in failed.
func (o *options) number(letter byte, absent int64) int64 {
	word := o.value(letter, "")
	if word == "" && !o.has(letter) {
		return absent
	}
	n, err := size(word)
	if err != nil {
		o.c.errorf("invalid number '%s'", word)
		o.failed = true
	}
	return n
}

// size reads a number with busybox's suffixes: b is 512, k, M and G are powers of 1024, kB and so on of 1000.
func size(word string) (int64, error) {
	end := len(word)
	for end > 0 && (word[end-1] < '0' || word[end-1] > '9') {
		end--
	}
	n, err := strconv.ParseInt(word[:end], 10, 64)
	if err != nil {
		return 0, err
	}
	unit := int64(0)
	switch strings.ToLower(word[end:]) {
	case "":
		unit = 1
	case "c":
		unit = 1
	case "w":
		unit = 2
	case "b":
		unit = 512
	case "k", "kib":
		unit = 1 << 10
	case "m", "mib":
		unit = 1 << 20
	case "g", "gib":
		unit = 1 << 30
	case "t", "tib":
		unit = 1 << 40
	case "kb":
		unit = 1000
	case "mb":
		unit = 1000 * 1000
	case "gb":
		unit = 1000 * 1000 * 1000
	}
	if unit == 0 {
		return 0, errors.New("unknown suffix")
	}
	if n > (1<<63-1)/unit || n < -(1<<63-1)/unit {
		return 0, errors.New("too large")
	}
	return n * unit, nil
}

// each opens the files named, or standard input for none and for "-", one after another, and goes on after those that fail.
func (c *call) each(names []string, do func(name string, r io.Reader)) int {
	return c.eachFile(names, "%s: %s", do)
}

// eachOpened is each with the wording that busybox has for files that cannot be opened.
func (c *call) eachOpened(names []string, do func(name string, r io.Reader)) int {
	return c.eachFile(names, "can't open '%s': %s", do)
}

func (c *call) eachFile(names []string, complaint string, do func(name string, r io.Reader)) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if name == "-" {
			do(name, c.in)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			c.errorf(complaint, name, reason(err))
			continue
		}
		do(name, f)
		f.Close()
	}
	return c.bad
}

// lines gives the lines of a reader, without their newlines; last says whether the newline was missing.
func lines(r io.Reader, do func(line []byte, last bool) bool) error { return ended(r, '\n', do) }

// ended are lines that end in another byte.
func ended(r io.Reader, end byte, do func(line []byte, last bool) bool) error {
	in := bufio.NewReaderSize(r, 16<<10)
	for {
		line, err := in.ReadBytes(end)
		if len(line) > 0 {
			last := line[len(line)-1] != end
			if !last {
				line = line[:len(line)-1]
			}
			if !do(line, last) {
				return nil
			}
		}
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// bare does what takes neither options nor operands.
func (c *call) bare(do func()) int {
	o, ok := c.options("")
	if !ok {
		return 1
	}
	if len(o.rest) > 0 {
		return c.misused("unexpected operand '%s'", o.rest[0])
	}
	do()
	return c.bad
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
