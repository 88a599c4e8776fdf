package tiny

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pager is less and more. more prints on; less draws whole screens, moves both ways and stays at the end until q.
func pager(c *call) int {
	o, ok := c.options("")
	if !ok {
		return 1
	}
	if !isTerminal(1) {
		return cat(c)
	}
	var text []string
	c.eachOpened(o.rest, func(_ string, r io.Reader) {
		lines(r, func(line []byte, _ bool) bool {
			text = append(text, string(line))
			return true
		})
	})
	if c.bad != 0 && len(text) == 0 {
		return c.bad
	}
	keys, err := os.Open("/dev/tty")
	if err != nil {
		return c.fail("/dev/tty: %s", reason(err))
	}
	defer keys.Close()
	fd := int(keys.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return c.fail("/dev/tty: %s", reason(err))
	}
	raw := *old
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG // Ctrl-C is a key: the terminal must be put back
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	defer unix.IoctlSetTermios(fd, unix.TCSETS, old)
	p := &paging{call: c, text: text, fd: fd}
	if c.name == "more" {
		p.more()
	} else {
		p.less()
	}
	return c.bad
}

type paging struct {
	*call
	text    []string
	fd      int
	at      int // more: the lines shown so far; less: the first row on the screen
	pattern string
	ahead   string // keys that were read together
}

// key is the next key; an arrow and Page Up and Down come as the letter that does the same.
func (p *paging) key() byte {
	if p.ahead == "" {
		var buf [64]byte
		n, err := unix.Read(p.fd, buf[:])
		if n <= 0 || err != nil {
			return 'q'
		}
		p.ahead = string(buf[:n])
	}
	for _, k := range []struct {
		sent  string
		means byte
	}{{"\x1b[A", 'k'}, {"\x1bOA", 'k'}, {"\x1b[B", 'j'}, {"\x1bOB", 'j'}, {"\x1b[5~", 'b'}, {"\x1b[6~", ' '}, {"\x1b[H", 'g'}, {"\x1b[1~", 'g'},
		{"\x1b[F", 'G'}, {"\x1b[4~", 'G'}} {
		if rest, ok := strings.CutPrefix(p.ahead, k.sent); ok {
			p.ahead = rest
			return k.means
		}
	}
	first := p.ahead[0]
	p.ahead = p.ahead[1:]
	return first
}

func (p *paging) more() {
	p.show(p.rows())
	for p.at < len(p.text) {
		p.printf("\x1b[7m--More--(%d%%)\x1b[m", p.at*100/len(p.text))
		p.out.Flush()
		key := p.key()
		p.print("\r\x1b[K")
		switch key {
		case 'q', 'Q', 3:
			return
		case '\r', '\n', 'j':
			p.show(1)
		case 'b':
			p.at = max(0, p.at-2*p.rows())
			p.show(p.rows())
		default:
			p.show(p.rows())
		}
	}
}

func (p *paging) rows() int {
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil && size.Row > 1 {
		return int(size.Row) - 1
	}
	return 23
}

func (p *paging) show(n int) {
	for ; n > 0 && p.at < len(p.text); n-- {
		p.print(p.text[p.at], "\n")
		p.at++
	}
	p.out.Flush()
}

func (p *paging) less() {
	for told := ""; ; {
		rows, screen := folded(p.text, width()), p.rows()
		last := max(0, len(rows)-screen)
		p.at = min(max(p.at, 0), last)
		p.print("\x1b[H\x1b[J")
		for _, row := range rows[p.at:min(len(rows), p.at+screen)] {
			p.print(row, "\n")
		}
		if told == "" && p.at == last {
			told = "(END)"
		}
		if told == "" {
			p.print(":")
		} else {
			p.print("\x1b[7m", told, "\x1b[m")
		}
		p.out.Flush()
		told = ""
		switch p.key() {
		case 'q', 'Q', 3:
			p.print("\r\x1b[K")
			return
		case ' ', 'f', 6:
			p.at += screen
		case 'b', 2:
			p.at -= screen
		case 'd', 4:
			p.at += screen / 2
		case 'u', 21:
			p.at -= screen / 2
		case '\r', '\n', 'j', 'e':
			p.at++
		case 'k', 'y':
			p.at--
		case 'g', '<':
			p.at = 0
		case 'G', '>':
			p.at = last
		case '/':
			p.pattern = p.typed()
			told = p.search(rows)
		case 'n':
			told = p.search(rows)
		}
	}
}

// folded breaks lines that are wider than the screen; tabs become spaces and other control characters are shown as ^X.
func folded(text []string, width int) (rows []string) {
	for _, line := range text {
		var row strings.Builder
		column := 0
		put := func(cell string) {
			for _, r := range cell {
				if column == width {
					rows = append(rows, row.String())
					row.Reset()
					column = 0
				}
				row.WriteRune(r)
				column++
			}
		}
		for _, r := range line {
			switch {
			case r == '\t':
				put(strings.Repeat(" ", 8-column%8))
			case r < ' ':
				put("^" + string(r+64))
			default:
				put(string(r))
			}
		}
		rows = append(rows, row.String())
	}
	return rows
}

// typed reads a search pattern up to Enter.
func (p *paging) typed() string {
	text := ""
	for {
		p.print("\r\x1b[K/", text)
		p.out.Flush()
		switch key := p.key(); {
		case key == '\r' || key == '\n':
			return text
		case key == 3 || key == 27:
			return ""
		case (key == 127 || key == 8) && text != "":
			text = text[:len(text)-1]
		case key >= ' ' && key != 127:
			text += string(rune(key))
		}
	}
}

// search moves to the next row that holds the pattern; what it returns is shown instead of the prompt.
func (p *paging) search(rows []string) string {
	if p.pattern == "" {
		return ""
	}
	for i := p.at + 1; i < len(rows); i++ {
		if strings.Contains(rows[i], p.pattern) {
			p.at = i
			return ""
		}
	}
	return "Pattern not found"
}
