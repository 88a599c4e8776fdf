package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/mount"
)

func TestComplaints(t *testing.T) {
	for text, want := range map[string]string{
		"touch: /data/x: Permission denied":                                     "/data/x writes",
		"sh: can't create /data/f: Permission denied":                           "/data/f writes",
		"PermissionError: [Errno 13] Permission denied: '/data/my.db'":          "/data/my.db",
		"Error: EACCES: permission denied, open '/srv/a'":                       "/srv/a",
		"open /x/y: permission denied":                                          "/x/y",
		"java.nio.file.AccessDeniedException: /x/y":                             "/x/y",
		`nginx: [emerg] open() "/var/log/e.log" failed (13: Permission denied)`: "/var/log/e.log",
		"mkdir: cannot create directory ‘/bitnami/data’: Permission denied":     "/bitnami/data writes",
		"touch: /data/x: Read-only file system":                                 "/data/x writes read-only",
		"cat: f: Permission denied":                                             "/w/cat /w/f /w/Permission /w/denied",
		"hello\n":                                                               "",
	} {
		got := ""
		for _, c := range complaints(text) {
			got = strings.Join(c.paths("/w"), " ")
			if c.writes {
				got += " writes"
			}
			if c.readOnly {
				got += " read-only"
			}
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestDenied(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	for _, f := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
	}{{"private", 0o700, 1001, 1001}, {"group", 0o750, 1001, 10}, {"open", 0o755, 1001, 1001}} {
		if err := os.Mkdir(dir+"/"+f.name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+f.name+"/file", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir + "/" + f.name + "/file", dir + "/" + f.name} {
			if err := os.Chown(path, f.uid, f.gid); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir+"/"+f.name, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, user, script, bind string
		maps                     []string
		want                     string
	}{
		{"search", "bob", "cat /m/private/file", dir + ":/m", nil, dir + "/private search uid 1000 of 1001: --user 1001:1001, or chown -R 1000:1000 " + dir},
		{"root passes", "", "cat /m/private/file", dir + ":/m", nil, ""},
		{"the group passes, and may not write", "bob", "cat /m/group/file && touch /m/group/new", dir + ":/m", nil, dir + "/group write uid 1000 of 1001: --user 1001:10, or chown -R 1000:1000 " + dir},
		{"write", "bob", "echo > /m/open/file", dir + ":/m", nil, dir + "/open/file write uid 1000 of 1001: --user 1001:1001, or chown -R 1000:1000 " + dir},
		{"cwd", "bob", "cd /m/open && touch new", dir + "/open:/m/open", nil, dir + "/open write uid 1000 of 1001: --user 1001:1001, or chown -R 1000:1000 " + dir + "/open"},
		{"no file named", "bob", "echo permission denied >&2; false", dir + "/private:/m", nil, dir + "/private read uid 1000 of 1001: --user 1001:1001, or chown -R 1000:1000 " + dir + "/private"},
		{"read-only", "", "touch /m/new", dir + ":/m:ro", nil, dir + " write uid 0 of 0: leave out :ro or readonly"},
		{"shifted", "", "cat /m/private/file", dir + ":/m", []string{"0:200000:65536"}, dir + "/private search uid 0 of 65534: chown -R 200000:200000 " + dir},
		{"nothing said", "bob", "echo fine", dir + ":/m", nil, ""},
	} {
		o := with(c.script, c.bind)
		o.Config.User, o.UsernsMap = c.user, c.maps
		id := m.create(o)
		if err := m.Containers.Start(bg, id); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := m.Containers.Wait(bg, id); err != nil {
			t.Fatal(err)
		}
		found, err := m.Containers.Denied(id, "")
		var got []string
		for _, d := range found {
			got = append(got, fmt.Sprintf("%s %s uid %d of %d: %s", d.Outside, d.Verb, d.Process.Inside, d.Owner.Inside, d.Fix))
		}
		if text := strings.Join(got, "\n"); text != c.want || err != nil {
			t.Errorf("%s: %q, %v\nwant %q", c.name, text, err, c.want)
		}
	}
}

func TestDeniedTable(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	o := shell("true")
	o.Config.User = "bob"
	o.HostConfig.Mounts = []mount.Mount{{Type: "bind", Source: dir, Target: "/m"}}
	found, err := m.Containers.Denied(m.create(o), "ls: can't open '/m': Permission denied\n")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	d := found[0]
	if d.Inside != "/m" || d.Mode != "drwx------" || d.Owner.InsideName != "root" || d.Owner.HostName != "root" || d.Process.InsideName != "bob" || d.ProcessGroup.Inside != 1000 || len(d.Groups) != 1 || d.Groups[0] != 10 {
		t.Errorf("%+v", d)
	}
	if want := "uid 1000 is neither its owner nor in its group, and drwx------ does not let others read"; d.Why != want {
		t.Errorf("%s\nwant %s", d.Why, want)
	}
}
