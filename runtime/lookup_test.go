package runtime

import (
	"errors"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The words are those by which docker and podman tell 127 from 126; a program is looked for below the root that the process sees.
func TestLookup(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"runs": 0o755, "data": 0o644} {
		if err := os.WriteFile(dir+"/"+name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir+"/runs", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	c := &Container{Pid: os.Getpid()}
	for _, test := range []struct{ name, say string }{
		{"runs", ""},
		{"link", ""},
		{dir + "/runs", ""},
		{"./runs", ""},
		{"/proc/self/exe", ""}, // a magic link: only the process knows
		{"absent", `unable to start container process: exec: "absent": executable file not found in $PATH`},
		{"data", `unable to start container process: exec: "data": permission denied`},
		{"/no/such", `unable to start container process: exec: "/no/such": stat /no/such: no such file or directory`},
		{dir, `unable to start container process: exec: "` + dir + `": permission denied`},
	} {
		err := c.Lookup(&specs.Process{Args: []string{test.name}, Cwd: dir, Env: []string{"PATH=/nonexistent:" + dir}})
		if say := message(err); say != test.say {
			t.Errorf("%s: %q, not %q", test.name, say, test.say)
		}
	}
	var not *NotRun
	if err := c.Lookup(&specs.Process{Args: []string{"data"}, Env: []string{"PATH=" + dir}}); !errors.As(err, &not) || not.Errno != unix.EACCES {
		t.Errorf("%v", err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
