package tiny

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

func textApplets() []applet {
	return []applet{
		{"base64", base64s, "[-d] [-w N] [FILE]"},
		{"cut", cut, "-b|-c|-f LIST [-d SEP] [-s] [FILE]..."},
		{"egrep", grep, "[-ivnrRcqEFGolLhHsxw] PATTERN [FILE]..."},
		{"fgrep", grep, "[-ivnrRcqEFGolLhHsxw] PATTERN [FILE]..."},
		{"grep", grep, "[-ivnrRcqEFGolLhHsxw] [-m N] [-A|B|C N] [--color[=WHEN]] -e PATTERN|-f FILE|PATTERN [FILE]..."},
		{"head", head, "[-n N | -c N] [-qv] [FILE]..."},
		{"less", pager, "[FILE]..."},
		{"more", pager, "[FILE]..."},
		{"rev", rev, "[FILE]..."},
		{"sed", sed, "[-nirE] [-e SCRIPT] [-f FILE] [SCRIPT] [FILE]..."},
		{"seq", seq, "[-w] [-s SEP] [FIRST [INC]] LAST"},
		{"sort", sorted, "[-nrufhsbdiMgVcz] [-k KEY] [-t SEP] [-o FILE] [FILE]..."},
		{"tac", tac, "[FILE]..."},
		{"tail", tail, "[-n [+]N | -c [+]N] [-fFqv] [-s SECONDS] [FILE]..."},
		{"tee", tee, "[-ai] [FILE]..."},
		{"tr", tr, "[-cds] SET1 [SET2]"},
		{"uniq", uniq, "[-cdui] [-f N] [-s N] [-w N] [INPUT [OUTPUT]]"},
		{"wc", wc, "[-clwLm] [FILE]..."},
		{"yes", yes, "[WORD]..."},
	}
}

// headings prints ==> name <== when there are several files.
func (c *call) heading(o *options, name string, first *bool) {
	if len(o.rest) < 2 && !o.has('v') || o.has('q') {
		return
	}
	if !*first {
		c.print("\n")
	}
	*first = false
	if name == "-" {
		name = "standard input"
	}
	c.print("==> ", name, " <==\n")
}

// dashed turns the old -5 into -n 5.
func dashed(args []string) []string {
	var words []string
	for i, arg := range args {
		if arg == "--" {
			return append(words, args[i:]...)
		}
		value := i > 0 && (args[i-1] == "-n" || args[i-1] == "-c" || args[i-1] == "-s")
		if !value && len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			arg = "-n" + arg[1:]
		}
		words = append(words, arg)
	}
	return words
}

func head(c *call) int {
	c.args = dashed(c.args)
	o, ok := c.options("n:c:qv", "lines=n", "bytes=c", "quiet=q")
	if !ok {
		return 1
	}
	count, byBytes := o.number('n', 10), o.has('c')
	if byBytes {
		count = o.number('c', 0)
	}
	if o.failed {
		return 1
	}
	first := true
	return c.eachOpened(o.rest, func(name string, r io.Reader) {
		c.heading(o, name, &first)
		switch {
		case count < 0:
			c.allBut(r, int(-count), byBytes)
		case byBytes:
			io.CopyN(c.out, plain{r}, count)
		default:
			left := count
			if left == 0 {
				return
			}
			lines(r, func(line []byte, last bool) bool {
				c.out.Write(line)
				if !last {
					c.out.WriteByte('\n')
				}
				left--
				return left > 0
			})
		}
	})
}

func (c *call) allBut(r io.Reader, count int, byBytes bool) {
	data, _ := io.ReadAll(r)
	if byBytes {
		c.out.Write(data[:max(0, len(data)-count)])
		return
	}
	c.out.Write(data[:len(data)-len(lastLines(data, count))])
}

// lastLines is the end of data that holds its last n lines.
func lastLines(data []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	at := len(data)
	if at > 0 && data[at-1] == '\n' {
		at--
	}
	for at > 0 {
		i := bytes.LastIndexByte(data[:at], '\n')
		if n--; n == 0 {
			return data[i+1:]
		}
		if i < 0 {
			break
		}
		at = i
	}
	return data
}

func wc(c *call) int {
	o, ok := c.options("clwLm", "bytes=c", "lines=l", "words=w", "chars=m")
	if !ok {
		return 1
	}
	if len(o.order) == 0 {
		o.order = []option{{letter: 'l'}, {letter: 'w'}, {letter: 'c'}}
	}
	columns := 0
	for _, letter := range []byte("lwmcL") {
		if o.has(letter) {
			columns++
		}
	}
	show := func(n [5]int64, name string) {
		var parts []string
		for i, letter := range []byte("lwmcL") {
			if o.has(letter) {
				text := strconv.FormatInt(n[i], 10)
				if columns > 1 || len(o.rest) > 1 {
					text = padLeft(text, 9)
				}
				parts = append(parts, text)
			}
		}
		if name != "" {
			parts = append(parts, name)
		}
		c.print(strings.Join(parts, " "), "\n")
	}
	var total [5]int64
	c.each(o.rest, func(name string, r io.Reader) {
		n := count(r)
		for i := range total {
			total[i] += n[i]
		}
		if len(o.rest) == 0 {
			name = ""
		}
		show(n, name)
	})
	if len(o.rest) > 1 {
		show(total, "total")
	}
	return c.bad
}

// count gives lines, words, characters, bytes and the longest line.
func count(r io.Reader) (n [5]int64) {
	buf := make([]byte, 16<<10)
	word, column := false, int64(0)
	for {
		k, err := r.Read(buf)
		for _, b := range buf[:k] {
			n[3]++
			if utf8.RuneStart(b) {
				n[2]++
				column++
			}
			switch b {
			case '\n':
				n[0]++
				n[4] = max(n[4], column-1)
				column = 0
				word = false
			case ' ', '\t', '\r', '\v', '\f':
				word = false
			default:
				if !word {
					n[1]++
				}
				word = true
			}
		}
		if err != nil || k == 0 {
			n[4] = max(n[4], column)
			return n
		}
	}
}

func tee(c *call) int {
	o, ok := c.options("ai", "append=a")
	if !ok {
		return 1
	}
	c.out.Flush()
	if o.has('i') {
		signals.Ignore(unix.SIGINT)
	}
	out := []io.Writer{os.Stdout}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if o.has('a') {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	for _, name := range o.rest {
		f, err := os.OpenFile(name, flags, 0o666)
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
			continue
		}
		defer f.Close()
		out = append(out, f)
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := c.in.Read(buf)
		for i, w := range out {
			if w == nil {
				continue
			}
			if _, err := w.Write(buf[:n]); err != nil {
				c.errorf("write error: %s", reason(err))
				out[i] = nil
			}
		}
		if err != nil {
			return c.bad
		}
	}
}

func yes(c *call) int {
	words := c.args
	if len(words) == 0 {
		words = []string{"y"}
	}
	line := strings.Join(words, " ") + "\n"
	block := strings.Repeat(line, max(1, 4096/len(line)))
	for {
		if _, err := io.WriteString(os.Stdout, block); err != nil {
			return c.fail("%s", reason(err))
		}
	}
}

func rev(c *call) int {
	o, ok := c.options("")
	if !ok {
		return 1
	}
	return c.each(o.rest, func(_ string, r io.Reader) {
		lines(r, func(line []byte, last bool) bool {
			runes := []rune(string(line))
			for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
				runes[i], runes[j] = runes[j], runes[i]
			}
			c.print(string(runes))
			if !last {
				c.print("\n")
			}
			return true
		})
	})
}

func tac(c *call) int {
	o, ok := c.options("")
	if !ok {
		return 1
	}
	return c.each(o.rest, func(_ string, r io.Reader) {
		var all []string
		lines(r, func(line []byte, last bool) bool {
			text := string(line)
			if !last {
				text += "\n"
			}
			all = append(all, text)
			return true
		})
		for i := len(all) - 1; i >= 0; i-- {
			c.print(all[i])
		}
	})
}

func seq(c *call) int {
	width, sep := false, "\n"
	args := c.args
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && (args[0][1] == 'w' || args[0][1] == 's') {
		letters := args[0][1:]
		args = args[1:]
		for letters != "" {
			letter := letters[0]
			switch letters = letters[1:]; {
			case letter == 'w':
				width = true
				continue
			case letter != 's':
				return c.misused("invalid option -- '%c'", letter)
			case letters != "":
				sep = letters
			case len(args) == 0:
				return c.misused("option requires an argument -- 's'")
			default:
				sep, args = args[0], args[1:]
			}
			break
		}
	}
	if len(args) == 0 || len(args) > 3 {
		return c.misused("")
	}
	numbers := []float64{1, 1, 0}
	places, widest := 0, 0
	for i, word := range args {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return c.fail("invalid number '%s'", word)
		}
		if _, fraction, ok := strings.Cut(word, "."); ok {
			places = max(places, len(fraction))
		}
		switch {
		case i == len(args)-1:
			numbers[2] = n
		case i == 0:
			numbers[0] = n
		default:
			numbers[1] = n
		}
	}
	first, step, last := numbers[0], numbers[1], numbers[2]
	if step == 0 {
		return c.fail("invalid number '0'")
	}
	text := func(n float64) string { return strconv.FormatFloat(n, 'f', places, 64) }
	if width {
		widest = max(len(text(first)), len(text(last)))
	}
	for i := 0; ; i++ {
		n := first + float64(i)*step
		if step > 0 && n > last+1e-9 || step < 0 && n < last-1e-9 {
			break
		}
		if i > 0 {
			c.print(sep)
		}
		word := text(n)
		if sign := ""; widest > len(word) {
			if strings.HasPrefix(word, "-") {
				sign, word = "-", word[1:]
			}
			word = sign + strings.Repeat("0", widest-len(word)-len(sign)) + word
		}
		c.print(word)
		if i == 0 {
			defer c.print("\n")
		}
	}
	return 0
}
