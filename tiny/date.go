package tiny

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func date(c *call) int {
	o, ok := c.options("ud:r:s:I::R", "utc=u", "date=d", "reference=r", "set=s", "iso-8601=I", "rfc-email=R")
	if !ok {
		return 1
	}
	now := time.Now()
	if o.has('u') {
		now = now.UTC()
	}
	if name := o.value('r', ""); name != "" {
		info, err := os.Stat(name)
		if err != nil {
			return c.fail("%s: %s", name, reason(err))
		}
		now = info.ModTime().In(now.Location())
	}
	if text := o.value('d', ""); text != "" {
		t, err := parseDate(text, now)
		if err != nil {
			return c.fail("invalid date '%s'", text)
		}
		now = t.In(now.Location())
	}
	if text := o.value('s', ""); text != "" {
		t, err := parseDate(text, now)
		if err != nil {
			return c.fail("invalid date '%s'", text)
		}
		tv := unix.NsecToTimeval(t.UnixNano())
		if err := unix.Settimeofday(&tv); err != nil {
			c.errorf("can't set date: %s", reason(err))
		}
		now = t
	}
	format := "+%a %b %e %H:%M:%S %Z %Y"
	switch {
	case len(o.rest) > 1 || len(o.rest) == 1 && !strings.HasPrefix(o.rest[0], "+"):
		return c.fail("invalid date '%s'", o.rest[0])
	case len(o.rest) == 1:
		format = o.rest[0]
	case o.has('R'):
		format = "+%a, %d %b %Y %H:%M:%S %z"
	case o.has('I'):
		spec := o.value('I', "") + "date"
		var known bool
		format, known = map[byte]string{'d': "+%Y-%m-%d", 'h': "+%Y-%m-%dT%H%:z", 'm': "+%Y-%m-%dT%H:%M%:z", 's': "+%Y-%m-%dT%H:%M:%S%:z"}[spec[0]]
		if !known {
			return c.misused("invalid argument '%s' to -I", o.value('I', ""))
		}
	}
	c.print(strftime(format[1:], now), "\n")
	return c.bad
}

// strftime is strftime(3), in the C locale, with GNU's %N, %s and %-d.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := format[i] == '-' && i+1 < len(format)
		if plain {
			i++
		}
		text := conversion(format[i], t)
		if format[i] == ':' && i+1 < len(format) && format[i+1] == 'z' {
			i++
			text = t.Format("-07:00")
		}
		if plain {
			if text = strings.TrimLeft(text, "0 "); text == "" {
				text = "0"
			}
		}
		b.WriteString(text)
	}
	return b.String()
}

func conversion(letter byte, t time.Time) string {
	layouts := map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'D': "01/02/06", 'F': "2006-01-02",
		'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'P': "pm", 'R': "15:04", 'r': "03:04:05 PM", 'S': "05", 'T': "15:04:05",
		'X': "15:04:05", 'x': "01/02/06", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST", 'c': "Mon Jan _2 15:04:05 2006", 'k': "15"}
	if layout, ok := layouts[letter]; ok {
		return t.Format(layout)
	}
	switch letter {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '%':
		return "%"
	case 's':
		return strconv.FormatInt(t.Unix(), 10)
	case 'N':
		return fmt.Sprintf("%09d", t.Nanosecond())
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1)
	case 'w':
		return strconv.Itoa(int(t.Weekday()))
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100)
	case 'V':
		_, week := t.ISOWeek()
		return fmt.Sprintf("%02d", week)
	case 'G':
		year, _ := t.ISOWeek()
		return strconv.Itoa(year)
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	}
	return "%" + string(letter)
}

func parseDate(text string, now time.Time) (time.Time, error) {
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(seconds, 10, 64)
		return time.Unix(n, 0), err
	}
	switch text {
	case "now":
		return now, nil
	case "today":
		return now, nil
	case "yesterday":
		return now.AddDate(0, 0, -1), nil
	case "tomorrow":
		return now.AddDate(0, 0, 1), nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC3339, "2006-01-02T15:04:05", "200601021504.05",
		"200601021504", "2006.01.02-15:04:05", "2006.01.02-15:04", time.UnixDate, time.RFC1123Z, time.RFC1123} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return now, errors.New("no such date")
}
