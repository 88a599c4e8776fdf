package runtime

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/tools/txtar"
)

// FuzzConfig reads and compiles config.json and layers.json, of which one value, counted by at, is replaced by another. Whatever they
// hold, that ends in a plan, always the same one, or in an error that names the field.
func FuzzConfig(f *testing.F) {
	for _, value := range []string{`null`, `""`, `-1`, `18446744073709551615`, `1e9`, `[]`, `{}`, `[{}]`, `"/"`, `"../.."`, `"a\u0000b"`, `[null]`, `true`, `"linux"`} {
		for i, seed := range configs(f) {
			f.Add(seed[0], seed[1], uint16(7*i), []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, config, layers []byte, at uint16, value []byte) {
		config = replaced(config, int(at), value)
		spec, list, err := decode(config, layers)
		if err != nil {
			return
		}
		plan, err := Compile(spec, list, ordinary())
		if err != nil {
			if !names.MatchString(err.Error()) {
				t.Errorf("%s\nnames no field: %v", config, err)
			}
			return
		}
		again, list, err := decode(config, layers)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Compile(again, list, ordinary())
		if err != nil {
			t.Fatalf("%s\nthe second time: %v", config, err)
		}
		if one, two := account(t, plan), account(t, twice); !bytes.Equal(one, two) {
			t.Errorf("%s\nfirst\n%s\nthen\n%s", config, one, two)
		}
		if !reflect.DeepEqual(spec, again) {
			t.Errorf("%s\nwas changed by compiling it", config)
		}
		for i, s := range program.Whole(plan.Phases) {
			if len(s.Args) > 6 || len(s.Tolerate) > 4 || s.Why == "" {
				t.Errorf("%s\nstep %d cannot be carried out or told: %+v", config, i+1, s)
			}
		}
	})
}

// names are how an error names a field of config.json, or layers.json.
var names = regexp.MustCompile(`\b(ociVersion|process|root|hostname|domainname|mounts|hooks|annotations|linux|solaris|windows|vm|zos|freebsd|layers\.json)\b`)

// configs are the golden ones and the spec's own examples.
func configs(f *testing.F) (all [][2][]byte) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if c := section(a, "config.json"); c != nil {
			all = append(all, [2][]byte{c, section(a, "layers.json")})
		}
	}
	files, _ = filepath.Glob("testdata/*.json")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, [2][]byte{text, nil})
	}
	if len(all) < 10 {
		f.Fatalf("only %d configs to begin with", len(all))
	}
	return all
}

func decode(config, layers []byte) (*specs.Spec, *rootfs.Layers, error) {
	spec := new(specs.Spec)
	if err := store.Decode(config, spec); err != nil || len(layers) == 0 {
		return spec, nil, err
	}
	list := new(rootfs.Layers)
	err := store.Decode(layers, list)
	return spec, list, err
}

func account(t *testing.T, p *Plan) []byte {
	var out bytes.Buffer
	if err := program.Write(&out, p.Explain(), program.Style{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// replaced is a JSON document with another value in one place; as it was, if one of them is no JSON.
func replaced(document []byte, at int, value []byte) []byte {
	var tree, v any
	if json.Unmarshal(document, &tree) != nil || json.Unmarshal(value, &v) != nil {
		return document
	}
	text, err := json.Marshal(graft(tree, v, &at))
	if err != nil {
		return document
	}
	return text
}

// graft puts v where the count of values comes to 0.
func graft(tree, v any, count *int) any {
	if *count--; *count == -1 {
		return v
	}
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			tree[name] = graft(tree[name], v, count)
		}
	case []any:
		for i := range tree {
			tree[i] = graft(tree[i], v, count)
		}
	}
	return tree
}
