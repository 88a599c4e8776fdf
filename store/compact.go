package store

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

var marshaler = reflect.TypeFor[json.Marshaler]()

// compact is json.Marshal without the fields that hold their zero value, whatever their tags say: Docker's HostConfig
// alone has seventy, and listing a thousand containers decodes each of them. nil and empty slices stay different.
func compact(b *bytes.Buffer, v any) error { return encode(b, reflect.ValueOf(v)) }

func encode(b *bytes.Buffer, v reflect.Value) error {
	for v.Kind() == reflect.Pointer && !v.IsNil() && !v.Type().Implements(marshaler) {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct && !v.Type().Implements(marshaler) && !reflect.PointerTo(v.Type()).Implements(marshaler) {
		b.WriteByte('{')
		_, err := members(b, v, true)
		b.WriteByte('}')
		return err
	}
	data, err := json.Marshal(v.Interface())
	b.Write(data)
	return err
}

// members writes the fields of a struct, those of embedded structs among them; first: none has been written yet.
func members(b *bytes.Buffer, v reflect.Value, first bool) (bool, error) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || value.IsZero() {
			continue
		}
		if field.Anonymous && name == "" && value.Kind() == reflect.Struct {
			var err error
			if first, err = members(b, value, first); err != nil {
				return first, err
			}
			continue
		}
		if name == "" {
			name = field.Name
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteByte('"')
		b.WriteString(name)
		b.WriteString(`":`)
		if err := encode(b, value); err != nil {
			return first, err
		}
	}
	return first, nil
}
