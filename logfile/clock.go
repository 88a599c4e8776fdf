package logfile

import "time"

// clock writes times as time.RFC3339Nano does, in UTC; what is before the fraction is the same for many entries.
type clock struct {
	second int64
	text   []byte
}

func (c *clock) append(dst []byte, nanos int64) []byte {
	second, fraction := nanos/1e9, nanos%1e9
	if second != c.second || c.text == nil {
		c.second, c.text = second, time.Unix(second, 0).UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05")
	}
	dst = append(dst, c.text...)
	if fraction == 0 {
		return append(dst, 'Z')
	}
	digits := [10]byte{'.'}
	for i := 9; i > 0; i-- {
		digits[i] = byte('0' + fraction%10)
		fraction /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(append(dst, digits[:end]...), 'Z')
}
