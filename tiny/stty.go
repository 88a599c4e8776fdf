package tiny

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mode is a flag of termios(3): field 0 is control, 1 input, 2 output, 3 local.
type mode struct {
	name  string
	field int
	bit   uint32
}

func modes() []mode {
	return []mode{
		{"parenb", 0, unix.PARENB}, {"parodd", 0, unix.PARODD}, {"hupcl", 0, unix.HUPCL}, {"cstopb", 0, unix.CSTOPB}, {"cread", 0, unix.CREAD},
		{"clocal", 0, unix.CLOCAL}, {"crtscts", 0, unix.CRTSCTS},
		{"ignbrk", 1, unix.IGNBRK}, {"brkint", 1, unix.BRKINT}, {"ignpar", 1, unix.IGNPAR}, {"parmrk", 1, unix.PARMRK}, {"inpck", 1, unix.INPCK},
		{"istrip", 1, unix.ISTRIP}, {"inlcr", 1, unix.INLCR}, {"igncr", 1, unix.IGNCR}, {"icrnl", 1, unix.ICRNL}, {"ixon", 1, unix.IXON},
		{"ixoff", 1, unix.IXOFF}, {"iuclc", 1, unix.IUCLC}, {"ixany", 1, unix.IXANY}, {"imaxbel", 1, unix.IMAXBEL}, {"iutf8", 1, unix.IUTF8},
		{"opost", 2, unix.OPOST}, {"olcuc", 2, unix.OLCUC}, {"ocrnl", 2, unix.OCRNL}, {"onlcr", 2, unix.ONLCR}, {"onocr", 2, unix.ONOCR},
		{"onlret", 2, unix.ONLRET}, {"ofill", 2, unix.OFILL}, {"ofdel", 2, unix.OFDEL},
		{"isig", 3, unix.ISIG}, {"icanon", 3, unix.ICANON}, {"iexten", 3, unix.IEXTEN}, {"echo", 3, unix.ECHO}, {"echoe", 3, unix.ECHOE},
		{"echok", 3, unix.ECHOK}, {"echonl", 3, unix.ECHONL}, {"noflsh", 3, unix.NOFLSH}, {"xcase", 3, unix.XCASE}, {"tostop", 3, unix.TOSTOP},
		{"echoprt", 3, unix.ECHOPRT}, {"echoctl", 3, unix.ECHOCTL}, {"echoke", 3, unix.ECHOKE}, {"flusho", 3, unix.FLUSHO}, {"extproc", 3, unix.EXTPROC},
	}
}

type key struct {
	name string
	at   int
	sane byte
}

func keys() []key {
	return []key{{"intr", unix.VINTR, 3}, {"quit", unix.VQUIT, 28}, {"erase", unix.VERASE, 127}, {"kill", unix.VKILL, 21}, {"eof", unix.VEOF, 4},
		{"eol", unix.VEOL, 0}, {"eol2", unix.VEOL2, 0}, {"swtch", unix.VSWTC, 0}, {"start", unix.VSTART, 17}, {"stop", unix.VSTOP, 19},
		{"susp", unix.VSUSP, 26}, {"rprnt", unix.VREPRINT, 18}, {"werase", unix.VWERASE, 23}, {"lnext", unix.VLNEXT, 22}, {"discard", unix.VDISCARD, 15}}
}

func field(t *unix.Termios, n int) *uint32 {
	return [...]*uint32{&t.Cflag, &t.Iflag, &t.Oflag, &t.Lflag}[n]
}

func sane(t *unix.Termios) {
	t.Iflag = unix.BRKINT | unix.ICRNL | unix.IMAXBEL | unix.IXON
	t.Oflag = unix.OPOST | unix.ONLCR
	t.Cflag |= unix.CREAD
	t.Lflag = unix.ISIG | unix.ICANON | unix.IEXTEN | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE
	for _, k := range keys() {
		t.Cc[k.at] = k.sane
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

func stty(c *call) int {
	args, fd, device, all := c.args, 0, "standard input", false
	var words []string
	for len(args) > 0 {
		switch {
		case args[0] == "-a" || args[0] == "--all":
			all = true
		case args[0] == "-F" && len(args) > 1:
			device, args = args[1], args[1:]
		case strings.HasPrefix(args[0], "-F") && len(args[0]) > 2:
			device = args[0][2:]
		case args[0] == "--help":
			return c.help()
		default:
			words = append(words, args[0])
		}
		args = args[1:]
	}
	if all && len(words) > 0 {
		return c.misused("-a shows all settings: it does not go with new ones")
	}
	if device != "standard input" {
		f, err := os.OpenFile(device, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return c.fail("can't open '%s': %s", device, reason(err))
		}
		defer f.Close()
		fd = int(f.Fd())
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return c.fail("%s: %s", device, reason(err))
	}
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		size = &unix.Winsize{}
	}
	if len(words) == 0 {
		c.describe(t, size, all)
		return 0
	}
	before, sizeBefore := *t, *size
	for len(words) > 0 {
		used := c.setting(t, size, words)
		if used < 1 {
			if used == 0 {
				c.errorf("invalid argument '%s'", words[0])
			}
			return 1
		}
		words = words[used:]
	}
	if *size != sizeBefore {
		if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size); err != nil {
			return c.fail("%s: %s", device, reason(err))
		}
	}
	if *t != before {
		if err := unix.IoctlSetTermios(fd, unix.TCSETSW, t); err != nil {
			return c.fail("%s: %s", device, reason(err))
		}
	}
	return c.bad
}

// setting applies the first word, and says how many words it took: 0 for one that it does not know.
func (c *call) setting(t *unix.Termios, size *unix.Winsize, words []string) int {
	word := words[0]
	switch word {
	case "size":
		c.printf("%d %d\n", size.Row, size.Col)
		return 1
	case "speed":
		c.printf("%d\n", speed(t))
		return 1
	case "-g":
		c.print(saved(t), "\n")
		return 1
	case "sane":
		sane(t)
		return 1
	case "raw", "-cooked":
		t.Iflag, t.Oflag = 0, t.Oflag&^unix.OPOST
		t.Lflag &^= unix.ISIG | unix.ICANON | unix.XCASE
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		return 1
	case "cooked", "-raw":
		t.Iflag |= unix.BRKINT | unix.IGNPAR | unix.ISTRIP | unix.ICRNL | unix.IXON
		t.Oflag |= unix.OPOST
		t.Lflag |= unix.ISIG | unix.ICANON
		return 1
	case "cbreak":
		t.Lflag &^= unix.ICANON
		return 1
	case "-cbreak":
		t.Lflag |= unix.ICANON
		return 1
	case "rows", "cols", "columns", "min", "time":
		if len(words) < 2 {
			c.errorf("missing argument to '%s'", word)
			return -1
		}
		n, err := strconv.ParseUint(words[1], 10, 16)
		if err != nil {
			c.errorf("invalid number '%s'", words[1])
			return -1
		}
		switch word {
		case "rows":
			size.Row = uint16(n)
		case "min":
			t.Cc[unix.VMIN] = byte(n)
		case "time":
			t.Cc[unix.VTIME] = byte(n)
		default:
			size.Col = uint16(n)
		}
		return 2
	}
	for _, k := range keys() {
		if k.name == word && len(words) > 1 {
			t.Cc[k.at] = keyByte(words[1])
			return 2
		}
	}
	name, off := strings.CutPrefix(word, "-")
	for _, m := range modes() {
		if m.name != name {
			continue
		}
		if off {
			*field(t, m.field) &^= m.bit
		} else {
			*field(t, m.field) |= m.bit
		}
		return 1
	}
	return restore(t, word)
}

func keyByte(word string) byte {
	switch {
	case word == "undef" || word == "^-":
		return 0
	case len(word) == 2 && word[0] == '^':
		if word[1] == '?' {
			return 127
		}
		return word[1] & 0x1f
	}
	if n, err := strconv.ParseUint(word, 0, 8); err == nil && len(word) > 1 {
		return byte(n)
	}
	return word[0]
}

// saved and restore are stty -g and its undoing.
func saved(t *unix.Termios) string {
	text := fmt.Sprintf("%x:%x:%x:%x", t.Iflag, t.Oflag, t.Cflag, t.Lflag)
	for _, b := range t.Cc {
		text += fmt.Sprintf(":%x", b)
	}
	return text
}

func restore(t *unix.Termios, word string) int {
	parts := strings.Split(word, ":")
	if len(parts) != 4+len(t.Cc) {
		return 0
	}
	var numbers []uint32
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 16, 32)
		if err != nil {
			return 0
		}
		numbers = append(numbers, uint32(n))
	}
	t.Iflag, t.Oflag, t.Cflag, t.Lflag = numbers[0], numbers[1], numbers[2], numbers[3]
	for i := range t.Cc {
		t.Cc[i] = byte(numbers[4+i])
	}
	return 1
}

func speed(t *unix.Termios) int {
	return map[uint32]int{unix.B0: 0, unix.B9600: 9600, unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200}[t.Cflag&unix.CBAUD]
}

// describe prints all the settings, or those that are not sane's.
func (c *call) describe(t *unix.Termios, size *unix.Winsize, all bool) {
	c.printf("speed %d baud;", speed(t))
	if all {
		c.printf(" rows %d; columns %d;", size.Row, size.Col)
	}
	c.printf(" line = %d;\n", t.Line)
	clean := *t
	sane(&clean)
	column := 0
	cell := func(text string) {
		if column > 0 && column+len(text)+1 > 79 {
			c.print("\n")
			column = 0
		}
		if column > 0 {
			c.print(" ")
			column++
		}
		c.print(text)
		column += len(text)
	}
	for _, k := range keys() {
		if all || t.Cc[k.at] != k.sane {
			cell(k.name + " = " + keyText(t.Cc[k.at]) + ";")
		}
	}
	if all || t.Cc[unix.VMIN] != 1 || t.Cc[unix.VTIME] != 0 {
		cell(fmt.Sprintf("min = %d; time = %d;", t.Cc[unix.VMIN], t.Cc[unix.VTIME]))
	}
	last := -1
	for _, m := range modes() {
		on := *field(t, m.field)&m.bit != 0
		if !all && on == (*field(&clean, m.field)&m.bit != 0) {
			continue
		}
		if m.field != last && column > 0 {
			c.print("\n")
			column = 0
		}
		last = m.field
		if on {
			cell(m.name)
		} else {
			cell("-" + m.name)
		}
	}
	if column > 0 {
		c.print("\n")
	}
}

func keyText(b byte) string {
	switch {
	case b == 0:
		return "<undef>"
	case b == 127:
		return "^?"
	case b < 32:
		return "^" + string(rune(b+64))
	}
	return string(rune(b))
}
