package store

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// Decode is json.Unmarshal for programs that stay and read few documents. encoding/json compiles a decoder and an encoder for every type that
// specs.Spec can reach before it reads the first byte: half a millisecond and 150 KiB, for types of which a config.json uses
// few. This one looks at the types of the fields that are there. Names must match exactly, as the OCI
// specification has them; unknown ones are ignored.
func Decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON document")
	}
	return fill(reflect.ValueOf(v).Elem(), tree, "")
}

// fill sets v, whose place in the document is called at.
func fill(v reflect.Value, tree any, at string) error {
	if tree == nil {
		return nil // null leaves things as they are
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := fill(p.Elem(), tree, at); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.Interface:
		v.Set(reflect.ValueOf(tree))
		return nil
	}
	switch t := tree.(type) {
	case map[string]any:
		if v.Kind() == reflect.Struct {
			return fillStruct(v, t, at)
		} else if v.Kind() == reflect.Map {
			return fillMap(v, t, at)
		}
	case []any:
		if v.Kind() == reflect.Slice {
			return fillSlice(v, t, at)
		}
	case string:
		return fillText(v, t, at)
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(t)
			return nil
		}
	case json.Number:
		return fillNumber(v, string(t), at)
	}
	return mismatch(v, tree, at)
}

func mismatch(v reflect.Value, tree any, at string) error {
	if at == "" {
		at = "the document"
	}
	return fmt.Errorf("%s: a %s cannot hold a JSON %s", strings.TrimPrefix(at, "."), v.Type(), kindOf(tree))
}

// fillText also knows what encoding/json makes of times and of bytes.
func fillText(v reflect.Value, text, at string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return nil
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		b, err := base64.StdEncoding.DecodeString(text)
		v.SetBytes(b)
		return err
	}
	return mismatch(v, text, at)
}

func fillStruct(v reflect.Value, members map[string]any, at string) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			if err := fill(v.Field(i), members, at); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		member, there := members[name]
		if !there || !f.IsExported() || name == "-" {
			continue
		}
		if err := fill(v.Field(i), member, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func fillMap(v reflect.Value, members map[string]any, at string) error {
	m := reflect.MakeMapWithSize(v.Type(), len(members))
	for name, member := range members {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := fill(value, member, at+"."+name); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	v.Set(m)
	return nil
}

func fillSlice(v reflect.Value, elements []any, at string) error {
	s := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, element := range elements {
		if err := fill(s.Index(i), element, at+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	v.Set(s)
	return nil
}

func fillNumber(v reflect.Value, n, at string) error {
	bad := func() error { return fmt.Errorf("%s: a %s cannot hold %s", strings.TrimPrefix(at, "."), v.Type(), n) }
	switch {
	case v.CanInt():
		i, err := strconv.ParseInt(n, 10, 64)
		if err != nil || v.OverflowInt(i) {
			return bad()
		}
		v.SetInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(n, 10, 64)
		if err != nil || v.OverflowUint(u) {
			return bad()
		}
		v.SetUint(u)
	case v.CanFloat():
		f, err := strconv.ParseFloat(n, 64)
		if err != nil || v.OverflowFloat(f) {
			return bad()
		}
		v.SetFloat(f)
	default:
		return bad()
	}
	return nil
}

func kindOf(tree any) string {
	switch tree.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "list"
	case bool:
		return "boolean"
	}
	return "string"
}
