package program

import "strings"

// longest is how much of a string is shown: strace's -s 65536.
const longest = 65536

// longestPath is PATH_MAX without the NUL.
const longestPath = 4095

// quote writes bytes as strace does: printable ASCII as it is, the usual escapes, anything else in octal.
func quote(b string) string {
	var w strings.Builder
	w.Grow(len(b) + 2)
	w.WriteByte('"')
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"' || c == '\\':
			w.WriteByte('\\')
			w.WriteByte(c)
		case c >= ' ' && c <= '~':
			w.WriteByte(c)
		case c >= '\t' && c <= '\r':
			w.WriteByte('\\')
			w.WriteByte("tnvfr"[c-'\t'])
		default:
			octal(&w, c, i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '7')
		}
	}
	w.WriteByte('"')
	return w.String()
}

// octal writes an escape with as few digits as the next character allows.
func octal(w *strings.Builder, c byte, digitFollows bool) {
	w.WriteByte('\\')
	if digitFollows || c >= 0o100 {
		w.WriteByte('0' + c>>6)
	}
	if digitFollows || c >= 0o10 {
		w.WriteByte('0' + c>>3&7)
	}
	w.WriteByte('0' + c&7)
}

// quoteHex writes every byte as \x..
func quoteHex(b string) string {
	const digits = "0123456789abcdef"
	var w strings.Builder
	w.WriteByte('"')
	for i := 0; i < len(b); i++ {
		w.WriteString(`\x`)
		w.WriteByte(digits[b[i]>>4])
		w.WriteByte(digits[b[i]&15])
	}
	w.WriteByte('"')
	return w.String()
}

// quoteString shows at most limit bytes of a NUL-terminated string.
func quoteString(s string, limit int) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	if len(s) > limit {
		return quote(s[:limit]) + "..."
	}
	return quote(s)
}

// quoteFull shows at most limit bytes of a field that need not end in a NUL: strace cannot tell whether a full one goes on.
func quoteFull(s string, limit int) string {
	if len(s) >= limit {
		return quote(s[:limit]) + "..."
	}
	return quoteString(s, limit)
}
