package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/world"

	"github.com/rogpeppe/go-internal/txtar"
)

// What is built twice: every kind of thing that could bring a time, an order or a name of this machine into an image.
const recipe = `
-- Dockerfile --
FROM tree AS made
USER root
RUN mkdir -p /made/z /made/a && for i in 9 5 1 7 3; do echo $i >/made/z/$i; done && ln /made/z/1 /made/hard && ln -s z /made/link && mknod /made/null c 1 3
RUN rm -r /srv/deep && mkdir /srv/deep && echo anew >/srv/deep/anew && date >/dev/null && chmod 4755 /made/z/5
FROM busybox AS beside
WORKDIR /w
RUN busybox tar -cf /w/archive -C / etc/passwd etc/group && sleep 0.1 && rm /w/archive && touch later
FROM made
ARG SOURCE_DATE_EPOCH
COPY . /context
COPY --chown=user sub *.txt /some/
COPY --from=beside /w /beside
ADD archive.tar /unpacked
ADD http://127.0.0.1:8000/file /fetched
ENV from=$from
LABEL b=2 a=1
EXPOSE 81 80
VOLUME /v2 /v1
HEALTHCHECK CMD true
CMD ["sh"]
-- b.txt --
b
-- a.txt --
a
-- sub/deep/er/file --
file
-- sub/other --
other
`

// TestSameOnTwoFileSystems builds with one SOURCE_DATE_EPOCH in stores on ext4 and on tmpfs, from contexts on tmpfs and on an overlay whose files have
// other times, inodes and orders; images, archives and what is pushed shall be the same to the last bit.
func TestSameOnTwoFileSystems(t *testing.T) {
	publish(t, images...)
	b := ofGlassbox(t)
	dir := world.Dir() + "/same"
	out := b.run(t, "/", `set -e
mkdir -p `+dir+` && cd `+dir+`
mkdir ext4 tmpfs contexts-tmpfs contexts-overlay
truncate -s 300M ext4.image && mkfs.ext4 -q ext4.image && mount -o loop ext4.image ext4
mount -t tmpfs tmpfs tmpfs && mount -t tmpfs tmpfs contexts-tmpfs
mkdir contexts-tmpfs/l contexts-tmpfs/u contexts-tmpfs/w && mount -t overlay -o lowerdir=contexts-tmpfs/l,upperdir=contexts-tmpfs/u,workdir=contexts-tmpfs/w overlay contexts-overlay
chmod 755 ext4 tmpfs && mkdir contexts-tmpfs/here contexts-overlay/here`)
	if out.Code != 0 {
		t.Fatal(out.Output)
	}
	first := b.buildIn(t, dir+"/ext4", dir+"/contexts-tmpfs/here", "1700000000", func(i int) int { return i })
	second := b.buildIn(t, dir+"/tmpfs", dir+"/contexts-overlay/here", "1700000000", func(i int) int { return -i })
	for what, have := range second {
		if first[what] != have || have == "" {
			t.Errorf("%s: %s on ext4, %s on tmpfs", what, first[what], have)
		}
	}
	third := b.buildIn(t, dir+"/tmpfs", dir+"/contexts-overlay/here", "1700000001", func(i int) int { return i })
	if first["image"] == third["image"] {
		t.Error("another SOURCE_DATE_EPOCH gives the same image: it counts for nothing")
	}
}

// buildIn builds the recipe with a store of its own, and returns digests of what comes of it. Its files are written in some order.
func (b *builder) buildIn(t *testing.T, root, context, epoch string, order func(int) int) map[string]string {
	t.Helper()
	files := txtar.Parse([]byte(recipe)).Files
	for i := range files {
		f := files[(order(i)+len(files))%len(files)]
		path := filepath.Join(b.at(context), f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`set -e
export GLASSBOX_ROOT=%s/root GLASSBOX_RUN=/run/%s SOURCE_DATE_EPOCH=%s
ln -f a.txt hard.txt; ln -sf a.txt link.txt
rm -f archive.tar; printf packed >packed; chmod 640 packed; tar --mtime=@5 --owner 3 --group 4 -cf archive.tar packed; rm packed
glassbox build --no-cache -q --iidfile id -t same . >/dev/null
mv id $GLASSBOX_ROOT
echo image $(cat $GLASSBOX_ROOT/id)
echo layers $(glassbox image inspect -f '{{json .RootFS.Layers}}' same)
echo created $(glassbox image inspect -f '{{.Created}}' same)
echo archive $(glassbox save same | sha256sum)
glassbox tag same %s/same:%[3]s
echo pushed $(glassbox push %[4]s/same:%[3]s | grep -o 'digest: .*')
`, root, filepath.Base(root), epoch, mirror)
	o := b.run(t, context, script)
	if o.Code != 0 {
		t.Fatalf("exit %d: %s", o.Code, o.Output)
	}
	digests := map[string]string{"image": "", "layers": "", "created": "", "archive": "", "pushed": ""}
	for line := range strings.Lines(o.Output) {
		what, digest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, wanted := digests[what]; wanted {
			digests[what] = digest
		}
	}
	t.Logf("%s, %s: %v", root, epoch, digests)
	return digests
}

// at is a path of the machine, as it is seen from here.
func (b *builder) at(path string) string { return fmt.Sprintf("/proc/%d/root%s", b.Pid(), path) }
