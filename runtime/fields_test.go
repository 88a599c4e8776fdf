package runtime

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// silent are the fields of config.json that no plan shows, each with the reason. What the specification has for another platform is none of
// ours: windows, solaris, vm, zos, freebsd, and single fields by their tags.
var silent = map[string]string{
	"ociVersion":                  "package oci refuses one that this build does not know",
	"annotations":                 "told to hooks and to the seccomp agent, and printed by state: TestHooks and TestSeccompListener of test/fields",
	"process.consoleSize.height":  "given to the terminal that the host fetches at a gate, before the program can look: setSize",
	"process.consoleSize.width":   "as the height",
	"linux.intelRdt":              "refused",
	"linux.seccomp.architectures": "the machine's own is always among them: TestAnswers of package seccomp",

	"linux.seccomp.listenerMetadata": "told to the agent: TestSeccompListener of test/fields",

	"hooks.prestart[0].timeout":        "kept by the host while the hook runs: TestHooks",
	"hooks.createRuntime[0].timeout":   "as prestart's",
	"hooks.createContainer[0].timeout": "as prestart's",
	"hooks.startContainer[0].timeout":  "as prestart's",
	"hooks.poststart[0].timeout":       "as prestart's",
	"hooks.poststop[0].args":           "run when the container is gone, by whoever deletes it",
	"hooks.poststop[0].env":            "as its args",
	"hooks.poststop[0].timeout":        "as its args",

	"linux.resources.network.priorities":       "refused, whatever it holds: package cgroups",
	"linux.resources.memory.checkBeforeUpdate": "of update, not of a start",
}

// instead are fields that everything.json cannot hold beside its others: what is laid over it to try them.
var instead = map[string]string{
	"process.scheduler.priority":       `{"process": {"scheduler": {"policy": "SCHED_FIFO", "priority": 3, "runtime": 0, "deadline": 0, "period": 0}}}`,
	"process.selinuxLabel":             `{"process": {"selinuxLabel": "a:b:c", "apparmorProfile": ""}}`,
	"mounts[0].type":                   `{"mounts": [{"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": [], "uidMappings": [], "gidMappings": []}]}`,
	"linux.personality.flags":          `{"linux": {"personality": {"flags": ["X"]}}}`,
	"linux.uidMappings[0].containerID": `{"linux": {"uidMappings": [{"containerID": 5, "hostID": 1000, "size": 9}]}}`,
	"linux.gidMappings[0].containerID": `{"linux": {"gidMappings": [{"containerID": 5, "hostID": 1000, "size": 9}]}}`,

	"linux.devices[0].major":    unmapped,
	"linux.devices[0].minor":    unmapped,
	"linux.devices[0].fileMode": unmapped,
	"linux.devices[0].uid":      unmapped,
	"linux.devices[0].gid":      unmapped,

	"linux.resources.memory.kernel":           memory(`"kernel": 1`),
	"linux.resources.memory.kernelTCP":        memory(`"kernelTCP": 1`),
	"linux.resources.memory.swappiness":       memory(`"swappiness": 1`),
	"linux.resources.memory.disableOOMKiller": memory(`"disableOOMKiller": true`),
	"linux.resources.memory.useHierarchy":     memory(`"useHierarchy": false`),
	"linux.resources.cpu.realtimeRuntime":     `{"linux": {"resources": {"cpu": {"realtimeRuntime": 1}}}}`,
	"linux.resources.cpu.realtimePeriod":      `{"linux": {"resources": {"cpu": {"realtimePeriod": 1}}}}`,
	"linux.resources.network.classID":         `{"linux": {"resources": {"network": {"classID": 1}}}}`,

	"linux.resources.blockIO.leafWeight":                      block(`"leafWeight": 10`),
	"linux.resources.blockIO.weightDevice[0].leafWeight":      block(`"weightDevice": [{"major": 8, "minor": 1, "leafWeight": 5}]`),
	"linux.resources.blockIO.weightDevice[0].minor":           block(`"weightDevice": [{"major": 8, "minor": 1, "weight": 50}]`),
	"linux.resources.blockIO.throttleReadBpsDevice[0].minor":  block(`"throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]`),
	"linux.resources.blockIO.throttleWriteBpsDevice[0].minor": block(`"throttleWriteBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]`),
	"linux.resources.blockIO.throttleReadIOPSDevice[0].minor": block(`"throttleReadIOPSDevice": [{"major": 8, "minor": 1, "rate": 5}]`),

	"linux.resources.blockIO.throttleWriteIOPSDevice[0].minor": block(`"throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 5}]`),
}

// unmapped: without a user namespace devices are made, not shown.
const unmapped = `{"linux": {"namespaces": [{"type": "mount", "path": ""}, {"type": "network"}, {"type": "uts"}], "uidMappings": [], "gidMappings": [], "timeOffsets": null}, "mounts": []}`

func memory(member string) string { return `{"linux": {"resources": {"memory": {` + member + `}}}}` }

func block(member string) string { return `{"linux": {"resources": {"blockIO": {` + member + `}}}}` }

// TestNoFieldIsSilent takes every field that config.json can have out of one that has them all: then the plan must be another one, or refused. So
// nothing that anybody asks for is skipped in silence; and a field that the specification adds must be decided about here.
func TestNoFieldIsSilent(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.json")
	if err != nil {
		t.Fatal(err)
	}
	everything := planOf(t, text, "{}", nil)
	if strings.HasPrefix(everything, "error") {
		t.Fatal(everything)
	}
	found := map[string]bool{}
	for _, path := range leaves(reflect.TypeFor[specs.Spec](), "") {
		found[path] = true
		changed, whole, over := false, everything, "{}"
		if over = cmp.Or(instead[path], over); over != "{}" {
			whole = planOf(t, text, over, nil)
		}
		plan := planOf(t, text, over, func(s *specs.Spec) { changed = clearAt(reflect.ValueOf(s).Elem(), path) })
		switch _, known := silent[path]; {
		case known && plan != whole && changed:
			t.Errorf("%s is in the plan, and need not be excused", path)
		case known:
		case !changed:
			t.Errorf("%s is new: testdata/everything.json has none", path)
		case plan == whole:
			t.Errorf("%s is skipped in silence: %s", path, strings.SplitN(whole, "\n", 2)[0])
		}
	}
	for path := range silent {
		if !found[path] {
			t.Errorf("%s is no field", path)
		}
	}
}

// planOf compiles the config.json with what is laid over it, edited, as a start and as an exec.
func planOf(t *testing.T, text []byte, over string, edit func(*specs.Spec)) string {
	t.Helper()
	var s specs.Spec
	if err := errors.Join(json.Unmarshal(text, &s), json.Unmarshal([]byte(over), &s)); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&s)
	}
	f := ordinary()
	f.Modules.AppArmor, f.Modules.SELinux = true, true
	f.Cgroups.Controllers = append(f.Cgroups.Controllers, "hugetlb", "rdma")
	p, err := Compile(&s, nil, f)
	if err != nil {
		return "error: " + err.Error()
	}
	exec, err := CompileExec(&specs.Process{Args: []string{"true"}, Cwd: "/"}, p.Rules, unix.CLONE_NEWPID, f)
	if err != nil {
		return "error: " + err.Error()
	}
	var out strings.Builder
	for _, phases := range [][]program.Phase{p.Phases, exec} {
		if err := program.Write(&out, program.Plan(phases), program.Style{Full: true}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(&out, p.Warnings)
	return out.String()
}

// leaves are the paths of all fields below a type, by their names in JSON; of a list and of a map one element.
func leaves(t reflect.Type, path string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return leaves(t.Elem(), path)
	case reflect.Slice:
		if e := t.Elem(); e.Kind() == reflect.Struct {
			return leaves(e, path+"[0]")
		}
	case reflect.Map:
		if e := t.Elem(); e.Kind() == reflect.Struct {
			return leaves(e, path+"[]")
		}
	case reflect.Struct:
		var all []string
		for i := range t.NumField() {
			f := t.Field(i)
			if platform := f.Tag.Get("platform"); platform != "" && !strings.Contains(platform, "linux") {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			below := strings.TrimPrefix(path+"."+name, ".")
			if f.Anonymous {
				below = path
			}
			if _, whole := silent[below]; whole {
				all = append(all, below)
				continue
			}
			all = append(all, leaves(f.Type, below)...)
		}
		return all
	}
	return []string{path}
}

// clearAt makes the field at path its type's zero value, and says whether it was anything else.
func clearAt(v reflect.Value, path string) bool {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		if path == "" {
			break
		}
		v = v.Elem()
	}
	if path == "" {
		was := !v.IsZero()
		v.SetZero()
		return was
	}
	if rest, in := strings.CutPrefix(path, "[0]"); in {
		return v.Len() > 0 && clearAt(v.Index(0), strings.TrimPrefix(rest, "."))
	}
	if rest, in := strings.CutPrefix(path, "[]"); in {
		for _, key := range v.MapKeys() {
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			was := clearAt(element, strings.TrimPrefix(rest, "."))
			v.SetMapIndex(key, element)
			return was
		}
		return false
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == path[:end] && !f.Anonymous {
			return clearAt(v.Field(i), strings.TrimPrefix(path[end:], "."))
		}
		if f.Anonymous {
			if _, in := f.Type.FieldByNameFunc(func(n string) bool {
				sf, _ := f.Type.FieldByName(n)
				name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
				return name == path[:end]
			}); in {
				return clearAt(v.Field(i), path)
			}
		}
	}
	return false
}
