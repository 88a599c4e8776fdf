package engine

import (
	"os"
	"strings"
	"testing"
)

func TestLabelled(t *testing.T) {
	dir := t.TempDir()
	const contexts = `# what containers are
process = "system_u:system_r:container_t:s0"
content = "system_u:object_r:virt_var_lib_t:s0"
file = "system_u:object_r:container_file_t:s0"
`
	for path, text := range map[string]string{"config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n", "targeted/contexts/lxc_contexts": contexts} {
		if err := os.MkdirAll(dir+"/targeted/contexts", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const id = "0000040a00"
	for _, test := range []struct{ options, process, mount, refused string }{
		{options: ""},
		{options: "disable"},
		{options: "type:spc_t disable"},
		{"type:spc_t", "system_u:system_r:spc_t:s0:c11,c13", "system_u:object_r:container_file_t:s0:c11,c13", ""},
		{"level:s0:c1,c2", "system_u:system_r:container_t:s0:c1,c2", "system_u:object_r:container_file_t:s0:c1,c2", ""},
		{"user:u role:r filetype:f level:s1", "u:r:container_t:s1", "u:object_r:f:s1", ""},
		{options: "type", refused: `bad label option "type"`},
		{options: "type:", refused: `bad label option "type:"`},
		{options: "colour:red", refused: `bad label option "colour:red"`},
	} {
		got, err := labelled(dir, strings.Fields(test.options), id)
		if test.refused != "" {
			if err == nil || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: %v, want %s", test.options, err, test.refused)
			}
			continue
		}
		if err != nil || got != (labels{test.process, test.mount}) {
			t.Errorf("%s: %+v, %v; want %s and %s", test.options, got, err, test.process, test.mount)
		}
	}
	if _, err := labelled(t.TempDir(), []string{"type:spc_t"}, id); err == nil || !strings.Contains(err.Error(), "/config") {
		t.Errorf("without a policy: %v", err)
	}
}

// TestCategories: two of 1024, in order, of any id.
func TestCategories(t *testing.T) {
	for id, want := range map[string]string{"": "c0,c1", "000003fe00": "c1022,c1023", "ffffffff00": "c3,c88"} {
		if got := categories(id); got != want {
			t.Errorf("categories(%q) = %s, want %s", id, got, want)
		}
	}
}
