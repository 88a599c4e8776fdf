package debian

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"glassbox/image"
	"glassbox/test/need"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A real distribution as an image's contents: users by name, set-uid programs, groups, links, thousands of files, and their owners in a
// user namespace.
func TestDebianAsAnImage(t *testing.T) {
	root := Root(t)
	need.Hierarchy(t)
	glassbox := need.Programs(t) + "/glassbox"
	data := t.TempDir()
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_ROOT", data+"/root")
	t.Setenv("GLASSBOX_RUN", data+"/run")
	importTree(t, root, data+"/root/images")
	t.Cleanup(func() { exec.Command(glassbox, "rm", "-f", "kept").Run() }) //nolint:errcheck // it may never have been made

	for _, c := range []struct{ args, want string }{
		{"run --rm debian sh -c '. /etc/os-release; echo $ID $VERSION_ID'", "debian 12\n"},
		{"run --rm -u www-data debian id -un", "www-data\n"},
		{"run --rm -u games:audio debian id -gn", "audio\n"},
		{"run --rm --group-add shadow debian id -Gn", "root shadow\n"},
		{"run --rm debian stat -c '%a %U:%G' /bin/su /etc/shadow /tmp", "4755 root:root\n640 root:shadow\n1777 root:root\n"},
		{"run --rm --userns 0:300000:65536 debian stat -c '%a %U:%G' /bin/su /etc/shadow", "4755 root:root\n640 root:shadow\n"},
		{"run --rm debian su games -s /bin/sh -c 'id -un'", "games\n"},
		{"run --rm debian perl -e 'print 6*7'", "42"},
		{"run --rm debian dpkg-query -W -f '${Status}' bash", "install ok installed"},
		{"run --name kept debian bash -c 'rm -rf /usr/share/doc; echo one >>/root/lines; cat /root/lines'", "one\n"},
		{"start -a kept", "one\none\n"},
		{"run --rm debian test -d /usr/share/doc", ""},
	} {
		out, err := exec.Command("sh", "-c", glassbox+" "+strings.Replace(c.args, "run ", "run --network none ", 1)).CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("glassbox %s: %v\n got %q\nwant %q", c.args, err, out, c.want)
		}
	}
}

func importTree(t *testing.T, root, store string) {
	t.Helper()
	c := exec.Command("tar", "-C", root, "--numeric-owner", "-c", ".")
	tree, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err == nil {
		_, err = image.Open(store).ImportTar(tree, "debian:latest", ocispec.Image{Config: ocispec.ImageConfig{Cmd: []string{"bash"}}})
	}
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
}
