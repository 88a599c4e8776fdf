package tiny

import (
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// span is a range of cut's LIST, from 1.
type span struct{ from, to int }

func spans(list string) (all []span, err error) {
	for part := range strings.SplitSeq(list, ",") {
		a, b, dash := strings.Cut(part, "-")
		s := span{1, 1 << 30}
		if a != "" {
			if s.from, err = strconv.Atoi(a); err != nil || s.from < 1 {
				return nil, errors.New(part)
			}
		}
		if b != "" {
			if s.to, err = strconv.Atoi(b); err != nil || s.to < s.from {
				return nil, errors.New(part)
			}
		}
		if !dash {
			s.to = s.from
		}
		if a == "" && b == "" {
			return nil, errors.New(part)
		}
		all = append(all, s)
	}
	return all, nil
}

func within1(all []span, n int) bool {
	return slices.ContainsFunc(all, func(s span) bool { return n >= s.from && n <= s.to })
}

func cut(c *call) int {
	o, ok := c.options("b:c:f:d:s", "bytes=b", "characters=c", "fields=f", "delimiter=d", "only-delimited=s")
	if !ok {
		return 1
	}
	list := o.value('f', o.value('c', o.value('b', "")))
	if list == "" {
		return c.misused("expected a list of bytes, characters, or fields")
	}
	if !o.has('f') && (o.has('d') || o.has('s')) {
		return c.misused("-d and -s make sense only with -f")
	}
	all, err := spans(list)
	if err != nil {
		return c.fail("invalid range '%v'", err)
	}
	sep := o.value('d', "\t")
	return c.eachOpened(o.rest, func(_ string, r io.Reader) {
		lines(r, func(line []byte, _ bool) bool {
			text := string(line)
			if o.has('f') {
				if !strings.Contains(text, sep) {
					if !o.has('s') {
						c.print(text, "\n")
					}
					return true
				}
				var kept []string
				for i, field := range strings.Split(text, sep) {
					if within1(all, i+1) {
						kept = append(kept, field)
					}
				}
				c.print(strings.Join(kept, sep), "\n")
				return true
			}
			if o.has('c') {
				for i, r := range []rune(text) {
					if within1(all, i+1) {
						c.out.WriteRune(r)
					}
				}
			} else {
				for i := range len(text) {
					if within1(all, i+1) {
						c.out.WriteByte(text[i])
					}
				}
			}
			c.print("\n")
			return true
		})
	})
}

// set expands tr's ranges, classes and escapes to bytes.
func set(text string) []byte {
	var list []byte
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "[:") {
			if end := strings.Index(text[i:], ":]"); end > 0 {
				list = append(list, class(text[i+2:i+end])...)
				i += end + 1
				continue
			}
		}
		ch := text[i]
		if ch == '\\' && i+1 < len(text) {
			n := max(2, 1+digits(text[i+1:], 3, 8))
			value, _ := unescape(text[i:i+n], false)
			if strings.HasPrefix(value, `\`) && len(value) == 2 {
				value = value[1:]
			}
			ch = value[0]
			i += n - 1
		}
		if i+2 < len(text) && text[i+1] == '-' {
			for b := int(ch); b <= int(text[i+2]); b++ {
				list = append(list, byte(b))
			}
			i += 2
			continue
		}
		list = append(list, ch)
	}
	return list
}

func class(name string) []byte {
	is := func(b byte) bool {
		lower, upper, digit := b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9'
		switch name {
		case "alpha":
			return lower || upper
		case "digit":
			return digit
		case "alnum":
			return lower || upper || digit
		case "lower":
			return lower
		case "upper":
			return upper
		case "space":
			return b == ' ' || b >= 9 && b <= 13
		case "blank":
			return b == ' ' || b == '\t'
		case "punct":
			return b > 32 && b < 127 && !lower && !upper && !digit
		case "cntrl":
			return b < 32 || b == 127
		case "print":
			return b >= 32 && b < 127
		case "graph":
			return b > 32 && b < 127
		case "xdigit":
			return digit || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
		}
		return false
	}
	var list []byte
	for b := range 256 {
		if is(byte(b)) {
			list = append(list, byte(b))
		}
	}
	return list
}

func tr(c *call) int {
	o, ok := c.options("+cCds", "complement=c", "delete=d", "squeeze-repeats=s")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 || len(o.rest) == 1 && !o.has('d') && !o.has('s') {
		return c.misused("")
	}
	from := set(o.rest[0])
	if o.has('c') || o.has('C') {
		var others []byte
		for b := range 256 {
			if !slices.Contains(from, byte(b)) {
				others = append(others, byte(b))
			}
		}
		from = others
	}
	var to []byte
	if len(o.rest) > 1 {
		to = set(o.rest[1])
	}
	var table [256]int
	squeeze := map[byte]bool{}
	for b := range table {
		table[b] = b
	}
	for i, b := range from {
		switch {
		case o.has('d'):
			table[b] = -1
		case len(to) > 0:
			table[b] = int(to[min(i, len(to)-1)])
		}
	}
	if o.has('s') {
		last := to
		if len(to) == 0 {
			last = from
		}
		for _, b := range last {
			squeeze[b] = true
		}
	}
	buf := make([]byte, 16<<10)
	before := -1
	for {
		n, err := c.in.Read(buf)
		for _, b := range buf[:n] {
			now := table[b]
			if now < 0 || now == before && squeeze[byte(now)] {
				continue
			}
			c.out.WriteByte(byte(now))
			before = now
		}
		if err != nil {
			return c.bad
		}
	}
}

func uniq(c *call) int {
	o, ok := c.options("cduif:s:w:", "count=c", "repeated=d", "unique=u", "ignore-case=i")
	if !ok {
		return 1
	}
	fields, skip, width := int(o.number('f', 0)), int(o.number('s', 0)), int(o.number('w', 0))
	if o.failed || len(o.rest) > 2 {
		return c.misused("")
	}
	key := func(text string) string {
		for range fields {
			text = strings.TrimLeft(text, " \t")
			text = text[max(0, strings.IndexAny(text+" ", " \t")):]
		}
		text = text[min(skip, len(text)):]
		if width > 0 {
			text = text[:min(width, len(text))]
		}
		if o.has('i') {
			text = strings.ToLower(text)
		}
		return text
	}
	if len(o.rest) == 2 && o.rest[1] != "-" {
		f, err := os.Create(o.rest[1])
		if err != nil {
			return c.fail("%s: %s", o.rest[1], reason(err))
		}
		defer f.Close()
		c.out.Reset(f)
		defer c.out.Flush()
	}
	held, count := "", 0
	emit := func() {
		if count == 0 || o.has('d') && count < 2 || o.has('u') && count > 1 {
			return
		}
		if o.has('c') {
			c.printf("%7d ", count)
		}
		c.print(held, "\n")
	}
	c.eachOpened(o.rest[:min(1, len(o.rest))], func(_ string, r io.Reader) {
		lines(r, func(line []byte, _ bool) bool {
			if text := string(line); count > 0 && key(text) == key(held) {
				count++
			} else {
				emit()
				held, count = text, 1
			}
			return true
		})
	})
	emit()
	return c.bad
}

// sortKey is -k F[.C][OPTS][,F[.C][OPTS]].
type sortKey struct {
	from, fromChar, to, toChar int
	reverse, fold, blanks      bool
	dictionary, printable      bool
	kind                       byte // n, g, h, M or V: how texts are compared that are not compared as bytes
}

// set takes one of sort's ordering letters.
func (k *sortKey) set(letter byte) bool {
	switch letter {
	case 'n', 'g', 'h', 'M', 'V':
		k.kind = letter
	case 'r':
		k.reverse = true
	case 'f':
		k.fold = true
	case 'b':
		k.blanks = true
	case 'd':
		k.dictionary = true
	case 'i':
		k.printable = true
	default:
		return false
	}
	return true
}

func sorted(c *call) int {
	o, ok := c.options("nrufhsbdiMgVczk:t:o:", "numeric-sort=n", "reverse=r", "unique=u", "key=k", "field-separator=t", "output=o",
		"version-sort=V", "human-numeric-sort=h", "stable=s", "check=c", "zero-terminated=z")
	if !ok {
		return 2
	}
	var whole sortKey
	for _, opt := range o.order {
		whole.set(opt.letter)
	}
	end := "\n"
	if o.has('z') {
		end = "\x00"
	}
	var keys []sortKey
	for _, text := range o.values('k') {
		k, err := parseKey(text, whole)
		if err != nil {
			c.errorf("invalid key '%s'", text)
			return 2
		}
		keys = append(keys, k)
	}
	if keys == nil {
		keys = []sortKey{whole}
	}
	sep := o.value('t', "")
	var all []string
	c.eachOpened(o.rest, func(_ string, r io.Reader) {
		ended(r, end[0], func(line []byte, _ bool) bool {
			all = append(all, string(line))
			return true
		})
	})
	compare := func(a, b string) int {
		for _, k := range keys {
			if n := k.compare(a, b, sep); n != 0 {
				return n
			}
		}
		return 0
	}
	full := func(a, b string) int {
		n := compare(a, b)
		if n == 0 && !o.has('s') && !o.has('u') {
			if n = strings.Compare(a, b); o.has('r') {
				n = -n
			}
		}
		return n
	}
	if o.has('c') {
		for i := 1; i < len(all); i++ {
			if n := compare(all[i-1], all[i]); n > 0 || n == 0 && o.has('u') {
				return 1
			}
		}
		return c.bad
	}
	slices.SortStableFunc(all, full)
	if o.has('u') {
		all = slices.CompactFunc(all, func(a, b string) bool { return compare(a, b) == 0 })
	}
	if name := o.value('o', ""); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return c.fail("%s: %s", name, reason(err))
		}
		defer f.Close()
		c.out.Reset(f)
		defer c.out.Flush()
	}
	for _, line := range all {
		c.print(line, end)
	}
	return c.bad
}

func parseKey(text string, whole sortKey) (sortKey, error) {
	k := sortKey{to: 1 << 30}
	own := false
	place := func(part string) (field, char int, err error) {
		flags := strings.TrimLeft(part, "0123456789.")
		number := part[:len(part)-len(flags)]
		for _, flag := range flags {
			own = true
			if !k.set(byte(flag)) {
				return 0, 0, errors.New(part)
			}
		}
		a, b, dot := strings.Cut(number, ".")
		if field, err = strconv.Atoi(a); err == nil && dot {
			char, err = strconv.Atoi(b)
		}
		return field, char, err
	}
	first, second, both := strings.Cut(text, ",")
	var err error
	if k.from, k.fromChar, err = place(first); err != nil || k.from < 1 {
		return k, errors.New(text)
	}
	if both {
		if k.to, k.toChar, err = place(second); err != nil {
			return k, err
		}
	}
	if !own {
		from, fromChar, to, toChar := k.from, k.fromChar, k.to, k.toChar
		k = whole
		k.from, k.fromChar, k.to, k.toChar = from, fromChar, to, toChar
	}
	return k, nil
}

func (k sortKey) compare(a, b, sep string) int {
	if k.from > 0 {
		a, b = k.extract(a, sep), k.extract(b, sep)
	}
	a, b = k.seen(a), k.seen(b)
	n := 0
	switch k.kind {
	case 'n', 'h':
		n = cmp.Compare(leadingNumber(a, k.kind == 'h'), leadingNumber(b, k.kind == 'h'))
	case 'g':
		n = cmp.Compare(leadingFloat(a), leadingFloat(b))
	case 'M':
		n = cmp.Compare(month(a), month(b))
	case 'V':
		n = compareVersions(a, b)
	default:
		n = strings.Compare(a, b)
	}
	if k.reverse {
		n = -n
	}
	return n
}

// seen is what of a text takes part in the comparison.
func (k sortKey) seen(text string) string {
	if k.blanks {
		text = strings.TrimLeft(text, " \t")
	}
	if k.fold {
		text = strings.ToUpper(text)
	}
	if !k.dictionary && !k.printable {
		return text
	}
	return strings.Map(func(r rune) rune {
		if k.printable && !unicode.IsPrint(r) || k.dictionary && r != ' ' && r != '\t' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return r
	}, text)
}

// leadingFloat is strtod(3)'s: the longest start that is a number, with an exponent; what is none comes before all numbers.
func leadingFloat(text string) float64 {
	text = strings.TrimLeft(text, " \t")
	for end := min(len(text), 64); end > 0; end-- {
		if n, err := strconv.ParseFloat(text[:end], 64); err == nil {
			return n
		}
	}
	return math.Inf(-1)
}

// month is 1 to 12, and 0 for what is no month's name.
func month(text string) int {
	text = strings.ToUpper(strings.TrimLeft(text, " \t"))
	if len(text) < 3 {
		return 0
	}
	return 1 + slices.Index(strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"), text[:3])
}

// compareVersions compares runs of digits as numbers and the rest as bytes: a9 before a10.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := digitsOf(a), digitsOf(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		left, right := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if n := cmp.Or(cmp.Compare(len(left), len(right)), strings.Compare(left, right)); n != 0 {
			return n
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

func digitsOf(text string) int { return len(text) - len(strings.TrimLeft(text, "0123456789")) }

// extract is the key's part of a line. Without a separator a field begins with the blanks before it.
func (k sortKey) extract(line, sep string) string {
	var fields []string
	if sep != "" {
		fields = strings.Split(line, sep)
	} else {
		for rest := line; rest != ""; {
			i := 0
			for i < len(rest) && (rest[i] == ' ' || rest[i] == '\t') {
				i++
			}
			for i < len(rest) && rest[i] != ' ' && rest[i] != '\t' {
				i++
			}
			fields = append(fields, rest[:i])
			rest = rest[i:]
		}
	}
	if k.from > len(fields) {
		return ""
	}
	last := min(k.to, len(fields))
	if last < k.from {
		return ""
	}
	part := append([]string{}, fields[k.from-1:last]...)
	if k.toChar > 0 && k.to <= len(fields) {
		part[len(part)-1] = part[len(part)-1][:min(k.toChar, len(part[len(part)-1]))]
	}
	if k.fromChar > 1 {
		part[0] = part[0][min(k.fromChar-1, len(part[0])):]
	}
	return strings.Join(part, sep)
}

func leadingNumber(text string, suffix bool) float64 {
	text = strings.TrimLeft(text, " \t")
	end := 0
	for end < len(text) && strings.IndexByte("+-.0123456789", text[end]) >= 0 && !(end > 0 && (text[end] == '-' || text[end] == '+')) {
		end++
	}
	n, _ := strconv.ParseFloat(text[:end], 64)
	if suffix && end < len(text) {
		for i := strings.IndexByte("KMGTPE", strings.ToUpper(text[end : end+1])[0]); i >= 0; i-- {
			n *= 1024
		}
	}
	return n
}

func base64s(c *call) int {
	o, ok := c.options("dw:", "decode=d", "wrap=w")
	if !ok {
		return 1
	}
	width := int(o.number('w', 76))
	if o.failed {
		return 1
	}
	return c.eachOpened(o.rest, func(name string, r io.Reader) {
		data, err := io.ReadAll(r)
		if o.has('d') {
			text := strings.Join(strings.Fields(string(data)), "")
			data, err = base64.StdEncoding.DecodeString(text)
			c.out.Write(data)
			if err != nil {
				c.errorf("truncated input")
			}
			return
		}
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
		}
		text := base64.StdEncoding.EncodeToString(data)
		for width > 0 && len(text) > width {
			c.print(text[:width], "\n")
			text = text[width:]
		}
		if c.print(text); width > 0 {
			c.print("\n")
		}
	})
}
