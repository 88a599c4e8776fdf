package tiny

import "strings"

// basic rewrites a POSIX basic regular expression, with GNU's \+ \? \|, as one that package regexp reads. Back-references have no
// counterpart: regexp refuses them and the user is told.
func basic(p string) string {
	var b strings.Builder
	start := true // at the start of the expression or of a group, where * is a character
	for i := 0; i < len(p); i++ {
		ch := p[i]
		switch {
		case ch == '\\' && i+1 < len(p):
			i++
			switch next := p[i]; next {
			case '(', '|':
				b.WriteByte(next)
				start = true
				continue
			case ')', '{', '}', '+', '?':
				b.WriteByte(next)
			default:
				b.WriteString(escaped(next))
			}
		case ch == '[':
			set := bracket(p[i:])
			b.WriteString(rewriteBracket(set))
			i += len(set) - 1
		case ch == '*' && start:
			b.WriteString(`\*`)
		case ch == '^' && !start, ch == '$' && !atEnd(p[i+1:]), strings.IndexByte("(){}+?|", ch) >= 0:
			b.WriteByte('\\')
			b.WriteByte(ch)
		case ch == '^':
			b.WriteByte('^')
			continue
		default:
			b.WriteByte(ch)
		}
		start = false
	}
	return b.String()
}

func atEnd(rest string) bool {
	return rest == "" || strings.HasPrefix(rest, `\)`) || strings.HasPrefix(rest, `\|`)
}

// extended does the same for extended expressions, which are nearly Go's.
func extended(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch ch := p[i]; {
		case ch == '\\' && i+1 < len(p):
			i++
			b.WriteString(escaped(p[i]))
		case ch == '[':
			set := bracket(p[i:])
			b.WriteString(rewriteBracket(set))
			i += len(set) - 1
		case ch == '{' && !interval(p[i:]):
			b.WriteString(`\{`)
		case (ch == '*' || ch == '+' || ch == '?') && (i == 0 || p[i-1] == '(' || p[i-1] == '|'):
			b.WriteByte('\\')
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func interval(p string) bool {
	end := strings.IndexByte(p, '}')
	return end > 1 && strings.Trim(p[1:end], "0123456789,") == "" && p[1] != ','
}

// escaped is a backslash and a letter in Go's syntax.
func escaped(ch byte) string {
	switch ch {
	case '<', '>':
		return `\b`
	case '`':
		return `\A`
	case '\'':
		return `\z`
	case 'w', 'W', 's', 'S', 'b', 'B', 'd', 'D', 'n', 't', 'r', 'f', 'v':
		return `\` + string(ch)
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return `\` + string(ch)
	}
	if ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= 0x80 {
		return string([]byte{ch})
	}
	return `\` + string(ch)
}

// bracket is the bracket expression at the start of p: ] first, and [:class:] inside, do not end it.
func bracket(p string) string {
	i := 1
	if i < len(p) && p[i] == '^' {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for i < len(p) {
		if strings.HasPrefix(p[i:], "[:") || strings.HasPrefix(p[i:], "[.") || strings.HasPrefix(p[i:], "[=") {
			if end := strings.Index(p[i+2:], p[i+1:i+2]+"]"); end >= 0 {
				i += end + 4
				continue
			}
		}
		if p[i] == ']' {
			return p[:i+1]
		}
		i++
	}
	return p
}

// rewriteBracket escapes what only Go reads inside brackets: in POSIX a backslash there is a backslash.
func rewriteBracket(set string) string {
	if len(set) < 2 || set[len(set)-1] != ']' {
		return set
	}
	var b strings.Builder
	b.WriteByte('[')
	body := set[1 : len(set)-1]
	if strings.HasPrefix(body, "^") {
		b.WriteByte('^')
		body = body[1:]
	}
	for i := 0; i < len(body); i++ {
		if strings.HasPrefix(body[i:], "[:") {
			if end := strings.Index(body[i:], ":]"); end > 0 {
				b.WriteString(body[i : i+end+2])
				i += end + 1
				continue
			}
		}
		switch body[i] {
		case '\\':
			if i+1 < len(body) && strings.IndexByte(`nt\]`, body[i+1]) >= 0 {
				b.WriteByte('\\')
				i++
				b.WriteByte(body[i])
				continue
			}
			b.WriteString(`\\`)
		case '[', ']', '^', '&', '~':
			b.WriteByte('\\')
			b.WriteByte(body[i])
		default:
			b.WriteByte(body[i])
		}
	}
	b.WriteByte(']')
	return b.String()
}
