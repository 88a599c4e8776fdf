package attendant

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// library is a C library's resolver: a program that prints what getaddrinfo(3) finds for each name, a line for each.
type library struct{ name, compiler, program string }

// libraries are those that can be compiled for here.
func libraries(t *testing.T) (all []library) {
	t.Helper()
	for _, l := range []library{{name: "glibc", compiler: "cc"}, {name: "musl", compiler: "musl-gcc"}} {
		if _, err := exec.LookPath(l.compiler); err != nil {
			continue
		}
		l.program = filepath.Join(t.TempDir(), l.name)
		args := []string{"-o", l.program, "testdata/resolve.c"}
		if l.name == "musl" {
			args = append(args, "-static")
		}
		if out, err := exec.Command(l.compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", l.compiler, err, out)
		}
		all = append(all, l)
	}
	if len(all) < 2 {
		t.Log("not all of cc (glibc) and musl-gcc (package musl-tools) are here")
	}
	if len(all) == 0 {
		need.Program(t, "musl-gcc")
	}
	return all
}

func (l library) resolve(t *testing.T, names ...string) string {
	t.Helper()
	out, err := exec.Command(l.program, names...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", l.name, err, out)
	}
	words := strings.Fields(string(out))
	slices.Sort(words)
	return strings.Join(words, " ")
}

// resolvConf puts a file in the place of /etc/resolv.conf, in the mount namespace of these tests.
func resolvConf(t *testing.T, lines ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(path, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/etc/resolv.conf", unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// What programs in a container get to see, by the C libraries that they are linked with.
func TestLibraries(t *testing.T) {
	all := libraries(t)
	r := newRoom(t)
	front := r.zone("front")
	front.host("a", "web", "10.0.0.2", "fd00::2")
	front.host("b", "db", "10.0.0.3")
	front.host("c", "a.dotted", "10.0.0.4")
	for i := range 100 {
		front.host(fmt.Sprint("host", i), "many", fmt.Sprintf("10.0.1.%d", i+1))
	}
	r.forwardTo(dnsmasq(t, "--host-record=up.example.test,192.0.2.1,2001:db8::1", "--host-record=web.example.test,192.0.2.66", "--local=/example.test/", "--local=/nowhere/", "--local=/top/",
		"--host-record=top,192.0.2.3"))
	r.spawn(r.resolver("127.0.0.11:53"))
	for _, c := range []struct {
		conf  string // beside the server
		ndots bool   // as the engine tells the attendant
		name  string
		want  string
	}{
		{"options ndots:0", false, "web", "10.0.0.2 fd00::2"},
		{"options ndots:0", false, "WEB", "10.0.0.2 fd00::2"},
		{"options ndots:0", false, "web.front", "10.0.0.2 fd00::2"},
		{"options ndots:0", false, "db", "10.0.0.3"},
		{"options ndots:0", false, "a.dotted", "10.0.0.4"},
		{"options ndots:0", false, "a.dotted.front", "10.0.0.4"},
		{"options ndots:0", false, "up.example.test", "192.0.2.1 2001:db8::1"},
		{"options ndots:0", false, "top", "192.0.2.3"},
		{"options ndots:0", false, "nobody.example.test", ""},
		{"search example.test\noptions ndots:0", false, "web", "10.0.0.2 fd00::2"}, // the container comes before web.example.test
		{"search example.test\noptions ndots:1", true, "up", "192.0.2.1 2001:db8::1"},
		{"search front\noptions ndots:5", true, "web", "10.0.0.2 fd00::2"},
		{"search nowhere example.test\noptions ndots:2", true, "up", "192.0.2.1 2001:db8::1"},
		{"options ndots:0 edns0", false, "web", "10.0.0.2 fd00::2"},
		{"options ndots:0 use-vc", false, "web", "10.0.0.2 fd00::2"},
		{"options ndots:0 use-vc", false, "up.example.test", "192.0.2.1 2001:db8::1"},
		{"options ndots:0 single-request rotate trust-ad", false, "web", "10.0.0.2 fd00::2"},
	} {
		for _, l := range all {
			t.Run(l.name+" "+c.name+" "+c.conf, func(t *testing.T) {
				resolvConf(t, "nameserver 127.0.0.11", c.conf)
				r.config.Names.Ndots = c.ndots
				if err := Update(r.dir, r.config); err != nil {
					t.Fatal(err)
				}
				got := l.resolve(t, c.name)
				if c.want == "" && strings.Contains(got, ".") || c.want != "" && got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		}
	}
	resolvConf(t, "nameserver 127.0.0.11", "options ndots:0")
	for _, l := range all {
		if n := len(strings.Fields(l.resolve(t, "many"))); n < 30 || l.name == "glibc" && n != 100 { // musl asks by TCP from 1.2.4 on
			t.Errorf("%s: %d of 100 addresses", l.name, n)
		}
	}
	if out, err := exec.Command(need.Program(t, "getent"), "hosts", "10.0.0.2").Output(); err != nil || strings.Fields(string(out))[1] != "web.front" {
		t.Errorf("getent hosts 10.0.0.2: %v %s", err, out)
	}
}
