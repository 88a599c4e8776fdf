package debian

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/test/world"
)

// Programs collects programs that are installed here, given by name or path, and whatever else is given (files, and directories with
// all below them), each with the libraries that ldd(1) finds, as the contents of an image: a Debian reduced to them, with busybox
// for a shell. It needs no registry and no package manager, and is made in well under a second.
func Programs(names ...string) ([]world.File, error) {
	c := collection{}
	for _, dir := range []string{"usr/", "usr/bin/", "usr/sbin/", "usr/lib/", "usr/lib64/", "etc/", "root/", "run/", "var/", "var/lib/", "var/log/"} {
		c[dir] = world.File{Name: dir, Mode: 0o755}
	}
	c["tmp/"] = world.File{Name: "tmp/", Mode: 0o1777}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		c[dir] = world.File{Name: dir, Mode: 0o777, Link: "usr/" + dir}
	}
	c["var/run"] = world.File{Name: "var/run", Mode: 0o777, Link: "/run"}
	for name, text := range accounts {
		c[name] = world.File{Name: name, Mode: 0o644, Body: []byte(text)}
	}
	if err := c.busybox(); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := c.add(name); err != nil {
			return nil, err
		}
	}
	return c.files(), nil
}

var accounts = map[string]string{
	"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n" +
		"redis:x:600:600:redis:/var/lib/redis:/bin/sh\npostgres:x:601:601:postgres:/var/lib/postgresql:/bin/sh\n" +
		"tcpdump:x:602:602:tcpdump:/:/bin/sh\n",
	"etc/group":         "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\nredis:x:600:\npostgres:x:601:\ntcpdump:x:602:\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
	"etc/services":      "http 80/tcp\ndomain 53/tcp\ndomain 53/udp\n",
}

// collection is what will be in the image, by name.
type collection map[string]world.File

// files are sorted, so that a directory comes before what is in it.
func (c collection) files() []world.File {
	var all []world.File
	for _, f := range c {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b world.File) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (c collection) busybox() error {
	body, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w (apt-get install busybox-static)", err)
	}
	c["usr/bin/busybox"] = world.File{Name: "usr/bin/busybox", Mode: 0o755, Body: body}
	applets, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		return err
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			c["usr/bin/"+applet] = world.File{Name: "usr/bin/" + applet, Mode: 0o777, Link: "busybox"}
		}
	}
	return nil
}

func (c collection) add(name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		if path = name; !filepath.IsAbs(name) {
			return err
		}
	}
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return c.take(path)
	})
}

// take takes one file; what a link leads to is taken under the link's name.
func (c collection) take(path string) error {
	name := merged(path)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if have, taken := c[name]; taken && have.Link == "" {
		return nil
	}
	c.parents(name)
	if info.IsDir() {
		c[name+"/"] = world.File{Name: name + "/", Mode: int64(info.Mode().Perm())}
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c[name] = world.File{Name: name, Mode: int64(info.Mode().Perm()), Body: body}
	if e, err := elf.NewFile(bytes.NewReader(body)); err != nil || e.Section(".dynamic") == nil {
		return nil
	}
	return c.libraries(path)
}

func (c collection) parents(name string) {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		if _, taken := c[dir+"/"]; !taken {
			c[dir+"/"] = world.File{Name: dir + "/", Mode: 0o755}
		}
	}
}

// libraries takes what ldd says: "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", "/lib64/ld-linux-x86-64.so.2 (0x...)".
func (c collection) libraries(path string) error {
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", path, err)
	}
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			if err := c.take(word); err != nil {
				return err
			}
		}
	}
	return nil
}

// merged is a path's name in the image, whose /bin, /sbin, /lib and /lib64 are links into /usr.
func merged(path string) string {
	first, _, _ := strings.Cut(path[1:], "/")
	if slices.Contains([]string{"bin", "sbin", "lib", "lib64"}, first) {
		return "usr" + path
	}
	return path[1:]
}
