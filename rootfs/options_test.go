package rootfs

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The words of the runtime spec's table, config.md "Linux mount options".
const table = `async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec noiversion nolazytime
nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodiratime rnoexec
rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw
shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap`

func TestEveryWordIsKnown(t *testing.T) {
	known := Options()
	for _, w := range append(strings.Fields(table), "rnodev") {
		if !slices.Contains(known, w) {
			t.Errorf("%s is not known", w)
		}
		if o := parse([]string{w}); len(o.data) > 0 {
			t.Errorf("%s is passed to the file system", w)
		}
	}
	if !slices.IsSorted(known) || len(slices.Compact(known)) != len(known) {
		t.Errorf("not in order, or one twice: %v", known)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		words      string
		set, clear uint64
		flags      uintptr
	}{
		{"ro", unix.MOUNT_ATTR_RDONLY, 0, unix.MS_RDONLY},
		{"ro rw", 0, unix.MOUNT_ATTR_RDONLY, 0},
		{"rw ro", unix.MOUNT_ATTR_RDONLY, 0, unix.MS_RDONLY},
		{"nosuid nodev suid", unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_NOSUID, unix.MS_NODEV},
		{"noatime", unix.MOUNT_ATTR_NOATIME, unix.MOUNT_ATTR__ATIME, unix.MS_NOATIME},
		{"noatime relatime", 0, unix.MOUNT_ATTR__ATIME, unix.MS_NOATIME | unix.MS_RELATIME},
		{"noatime atime", 0, unix.MOUNT_ATTR__ATIME, 0},
		{"strictatime nostrictatime", 0, unix.MOUNT_ATTR__ATIME, 0},
	} {
		o := parse(strings.Fields(c.words))
		if o.attr.set != c.set || o.attr.cleared() != c.clear || o.flags != c.flags {
			t.Errorf("%s: sets %#x, clears %#x, flags %#x; want %#x, %#x, %#x", c.words, o.attr.set, o.attr.cleared(), o.flags, c.set, c.clear, c.flags)
		}
		var r []string
		for _, w := range strings.Fields(c.words) {
			r = append(r, "r"+w)
		}
		if o := parse(r); o.rec.set != c.set || o.rec.cleared() != c.clear || o.attr.any() {
			t.Errorf("%s: sets %#x, clears %#x; want %#x, %#x", r, o.rec.set, o.rec.cleared(), c.set, c.clear)
		}
	}
	o := parse([]string{"mode=755,size=1m", `context="a:b,c"`, "", Subpath + "a/b", "x"})
	if want := []string{"mode=755", "size=1m", `context="a:b,c"`, "x"}; !slices.Equal(o.data, want) || o.subpath != "a/b" {
		t.Errorf("data %q, subpath %q", o.data, o.subpath)
	}
	if o := parse([]string{"slave", "rshared"}); !slices.Equal(o.propagation, []propagation{{unix.MS_SLAVE, false}, {unix.MS_SHARED, true}}) {
		t.Errorf("propagation %v", o.propagation)
	}
}

func TestParts(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":              "net ipv4 ip_forward",
		"net/ipv4/ip_forward":              "net ipv4 ip_forward",
		"net.ipv4.conf.eno2/100.rp_filter": "net ipv4 conf eno2.100 rp_filter",
		"net/ipv4/conf/eno2.100/rp_filter": "net ipv4 conf eno2.100 rp_filter",
		"kernel":                           "kernel",
		"net/../kernel/core_pattern":       "net .. kernel core_pattern",
		"net.ipv4.conf.//.rp_filter":       "net ipv4 conf .. rp_filter",
	} {
		if got := strings.Join(parts(name), " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestUnescaped(t *testing.T) {
	if got := unescaped(`/a\040b\011\134c\012`); got != "/a b\t\\c\n" {
		t.Errorf("got %q", got)
	}
}
