package store

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// compact is json.Marshal without the fields that hold their zero value, whatever their tags say: Docker's HostConfig
// alone has seventy, and listing a thousand containers decodes each of them. nil and empty slices stay different.
func compact(b *bytes.Buffer, v any) error { return encode(b, reflect.ValueOf(v)) }

// encode walks the value itself. encoding/json would first look through every type that could occur in it, which for a
// specs.Spec costs a process a millisecond; only the leaves, whose types are simple, are left to it.
func encode(b *bytes.Buffer, v reflect.Value) error {
	for v.Kind() == reflect.Pointer && !v.IsNil() && !v.Type().Implements(marshaler) {
		v = v.Elem()
	}
	if !v.IsValid() || v.Type().Implements(marshaler) || reflect.PointerTo(v.Type()).Implements(marshaler) || v.Type().Implements(textMarshaler) {
		return leaf(b, v)
	}
	switch v.Kind() {
	case reflect.Struct:
		b.WriteByte('{')
		_, err := members(b, v, true)
		b.WriteByte('}')
		return err
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return leaf(b, v)
		}
		return elements(b, v)
	case reflect.Array:
		return elements(b, v)
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			return leaf(b, v)
		}
		return entries(b, v)
	case reflect.Interface:
		if v.IsNil() {
			return leaf(b, v)
		}
		return encode(b, v.Elem())
	}
	return leaf(b, v)
}

func leaf(b *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	data, err := json.Marshal(v.Interface())
	b.Write(data)
	return err
}

func elements(b *bytes.Buffer, v reflect.Value) error {
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(b, v.Index(i)); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

// entries writes a map in the order of its keys, as encoding/json does.
func entries(b *bytes.Buffer, v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := leaf(b, k.Convert(reflect.TypeFor[string]())); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := encode(b, v.MapIndex(k)); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
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
