package tiny

import (
	"fmt"
	"strconv"
	"strings"
)

func echo(c *call) int {
	args, newline, escapes := c.args, true, false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		for _, letter := range args[0][1:] {
			switch letter {
			case 'n':
				newline = false
			case 'e', 'E':
				escapes = letter == 'e'
			}
		}
		args = args[1:]
	}
	for i, word := range args {
		if i > 0 {
			c.out.WriteByte(' ')
		}
		if !escapes {
			c.print(word)
			continue
		}
		text, stop := unescape(word, true)
		c.print(text)
		if stop {
			return 0
		}
	}
	if newline {
		c.out.WriteByte('\n')
	}
	return 0
}

// unescape reads backslash escapes; \c stops all output. zero says that octal escapes start with \0, as in echo and %b.
func unescape(word string, zero bool) (text string, stop bool) {
	if !strings.Contains(word, `\`) {
		return word, false
	}
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] != '\\' || i+1 == len(word) {
			b.WriteByte(word[i])
			continue
		}
		i++
		at := strings.IndexByte(`abefnrtv\`, word[i])
		switch {
		case at >= 0:
			b.WriteByte("\a\b\x1b\f\n\r\t\v\\"[at])
		case word[i] == 'c':
			return b.String(), true
		case word[i] == 'x':
			n := digits(word[i+1:], 2, 16)
			if n == 0 {
				b.WriteString(`\x`)
				continue
			}
			v, _ := strconv.ParseUint(word[i+1:i+1+n], 16, 8)
			b.WriteByte(byte(v))
			i += n
		case word[i] >= '0' && word[i] <= '7':
			most := 3
			if zero && word[i] == '0' {
				most = 4
			}
			n := digits(word[i:], most, 8)
			v, _ := strconv.ParseUint(word[i:i+n], 8, 16)
			b.WriteByte(byte(v))
			i += n - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(word[i])
		}
	}
	return b.String(), false
}

func digits(word string, most, radix int) int {
	n := 0
	for n < len(word) && n < most {
		if _, err := strconv.ParseUint(word[n:n+1], radix, 8); err != nil {
			break
		}
		n++
	}
	return n
}

func printf(c *call) int {
	args := c.args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		c.usage = "FORMAT [ARG]..."
		return c.misused("")
	}
	f := formatter{c: c, args: args[1:]}
	for {
		before := len(f.args)
		if !f.once(args[0]) || len(f.args) == 0 || len(f.args) == before {
			return c.bad
		}
	}
}

// formatter is a printf under way; args are those not used yet.
type formatter struct {
	c    *call
	args []string
}

func (f *formatter) next() string {
	if len(f.args) == 0 {
		return ""
	}
	word := f.args[0]
	f.args = f.args[1:]
	return word
}

// once goes through the format; false means that \c or an error ended it.
func (f *formatter) once(format string) bool {
	for i := 0; i < len(format); {
		at := strings.IndexAny(format[i:], `%\`)
		if at < 0 {
			f.c.print(format[i:])
			return true
		}
		f.c.print(format[i : i+at])
		i += at
		if format[i] == '\\' {
			n := 2
			if i+1 < len(format) {
				switch {
				case format[i+1] >= '0' && format[i+1] <= '7':
					n = 1 + digits(format[i+1:], 3, 8)
				case format[i+1] == 'x':
					n = 2 + digits(format[min(i+2, len(format)):], 2, 16)
				}
			}
			end := min(i+n, len(format))
			text, stop := unescape(format[i:end], false)
			f.c.print(text)
			if stop {
				return false
			}
			i = end
			continue
		}
		end := i + 1
		for end < len(format) && strings.IndexByte("-+ #0123456789.*", format[end]) >= 0 {
			end++
		}
		if end == len(format) {
			f.c.errorf("%s: invalid format", format)
			return false
		}
		if !f.verb(format[i:end], format[end]) {
			return false
		}
		i = end + 1
	}
	return true
}

func (f *formatter) verb(flags string, letter byte) bool {
	if letter == '%' {
		f.c.print("%")
		return true
	}
	for strings.Contains(flags, "*") {
		n, _ := strconv.Atoi(f.next())
		flags = strings.Replace(flags, "*", strconv.Itoa(n), 1)
	}
	switch letter {
	case 's':
		f.c.printf(flags+"s", f.next())
	case 'b':
		text, stop := unescape(f.next(), true)
		f.c.printf(flags+"s", text)
		return !stop
	case 'c':
		if word := f.next(); word != "" {
			f.c.printf(flags+"s", word[:1])
		}
	case 'd', 'i':
		f.c.printf(flags+"d", f.integer())
	case 'u':
		f.c.printf(flags+"d", uint64(f.integer()))
	case 'o', 'x', 'X':
		f.c.printf(flags+string(letter), uint64(f.integer()))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		word := f.next()
		value, err := strconv.ParseFloat(word, 64)
		if err != nil && word != "" {
			f.c.errorf("invalid number '%s'", word)
		}
		if letter == 'f' || letter == 'F' || strings.Contains(flags, ".") {
			f.c.printf(flags+string(letter), value)
		} else {
			f.c.print(fmt.Sprintf(flags+".6"+string(letter), value))
		}
	default:
		f.c.errorf("%%%c: invalid format", letter)
		return false
	}
	return true
}

func (f *formatter) integer() int64 {
	word := f.next()
	if word == "" {
		return 0
	}
	if word[0] == '"' || word[0] == '\'' {
		for _, r := range word[1:] {
			return int64(r)
		}
		return 0
	}
	text := strings.TrimSpace(word)
	radix := 10
	digits := strings.TrimLeft(text, "+-")
	switch {
	case strings.HasPrefix(digits, "0x"), strings.HasPrefix(digits, "0X"):
		radix, text = 16, strings.Replace(strings.Replace(text, "0x", "", 1), "0X", "", 1)
	case len(digits) > 1 && digits[0] == '0':
		radix = 8
	}
	n, err := strconv.ParseInt(text, radix, 64)
	if err != nil {
		if u, err := strconv.ParseUint(text, radix, 64); err == nil {
			return int64(u)
		}
		f.c.errorf("invalid number '%s'", word)
	}
	return n
}
