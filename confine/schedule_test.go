package confine

import (
	"bytes"
	"testing"
)

func TestMask(t *testing.T) {
	word := func(b ...byte) []byte { return append(b, make([]byte, 8-len(b))...) }
	for list, want := range map[string][]byte{
		"0": word(1), "0-3,7": word(0x8f), " 1, 2": word(6), "9-10": word(0, 6), "64": append(word(), word(1)...), "127": append(word(), word(0, 0, 0, 0, 0, 0, 0, 0x80)...),
		"": nil, ",": nil, "1-": nil, "-1": nil, "3-2": nil, "x": nil, "128": nil, "0-128": nil, "1-2-3": nil, "0x1": nil,
	} {
		have, err := mask("field", list, 128)
		if !bytes.Equal(have, want) || (err == nil) != (want != nil) {
			t.Errorf("%q is %x, %v, want %x", list, have, err, want)
		}
	}
}
