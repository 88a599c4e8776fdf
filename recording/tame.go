package recording

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tame writes out, in all strings below a pointer to a struct, what would move a terminal's cursor: the file may be anybody's.
func tame(v any) { tameValue(reflect.ValueOf(v).Elem()) }

func tameValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(tamed(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				tameValue(f)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // bytes are not for showing
		}
		for i := range v.Len() {
			tameValue(v.Index(i))
		}
	}
}

// tamed leaves newlines and tabs, and what has a shape.
func tamed(text string) string {
	harmless := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsGraphic(r) && r != utf8.RuneError }
	if strings.IndexFunc(text, func(r rune) bool { return !harmless(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case harmless(r):
			b.WriteRune(r)
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
