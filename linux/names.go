// Package linux holds the kernel's words: what its system calls, flags, errors, signals and capabilities are
// called, and how strace 6.1 prints them. Tables only; package program does the printing.
package linux

import "strconv"

// Name is what one bit or one value is called.
type Name struct {
	Value uint64
	Text  string
}

// Names are bits of a set, or values of which one applies, in the order in which strace tries them.
type Names []Name

// Of returns the name of exactly this value, or "".
func (n Names) Of(value uint64) string {
	for i := range n {
		if n[i].Value == value {
			return n[i].Text
		}
	}
	return ""
}

// Value is the reverse of Of.
func (n Names) Value(text string) (value uint64, ok bool) {
	for i := range n {
		if n[i].Text == text {
			return n[i].Value, true
		}
	}
	return 0, false
}

// Texts are all the names.
func (n Names) Texts() []string {
	var all []string
	for _, name := range n {
		all = append(all, name.Text)
	}
	return all
}

// Join writes a set of bits, such as MS_NOSUID|MS_NODEV. Bits without a name follow as one hexadecimal number; a set
// without any named bit is the number and, as a comment, unknown.
func (n Names) Join(bits uint64, unknown string) string {
	text, rest := n.split(bits)
	switch {
	case text == "" && bits == 0:
		return "0"
	case text == "" && unknown == "":
		return Hex(bits)
	case text == "":
		return Hex(bits) + " /* " + unknown + " */"
	case rest != 0:
		return text + "|" + Hex(rest)
	}
	return text
}

// Pick writes one value of an enumeration by its name, or as a number with unknown as a comment.
func (n Names) Pick(value uint64, unknown string) string {
	if text := n.Of(value); text != "" {
		return text
	}
	if unknown == "" {
		return Hex(value)
	}
	return Hex(value) + " /* " + unknown + " */"
}

func (n Names) split(bits uint64) (text string, rest uint64) {
	rest = bits
	for i := range n {
		v := n[i].Value
		if rest != v && (v == 0 || rest&v != v) {
			continue
		}
		if text != "" {
			text += "|"
		}
		text += n[i].Text
		if rest &^= v; rest == 0 {
			break
		}
	}
	return text, rest
}

// Hex is printf's %#x: zero has no prefix.
func Hex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(v, 16)
}

// Octal is printf's %#03o, as modes are printed: 0755, 022, 000.
func Octal(v uint64) string {
	text := strconv.FormatUint(v, 8)
	if v != 0 {
		text = "0" + text
	}
	for len(text) < 3 {
		text = "0" + text
	}
	return text
}
