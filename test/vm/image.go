package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// image is what every boot starts from, kept in test/.cache/vm.
type image struct {
	dir     string
	kernel  string // an ELF vmlinux: QEMU starts it directly (PVH), which is four times quicker than through the bzImage
	initrd  string
	modules string // lib/modules for modprobe
}

// imageVersion is raised when prepare changes.
const imageVersion = "6"

// bootModules are loaded by the initramfs, each after those that it needs.
var bootModules = []string{"virtio_pci", "virtio_blk", "virtio_console", "crc32c_generic", "crc32c_intel", "ext4", "9pnet_virtio", "9p", "overlay"}

// moreModules match what may be loaded later, on demand.
var moreModules = regexp.MustCompile(`^(veth|bridge|br_netfilter|stp|llc|dummy|macvlan|ipvlan|8021q|garp|mrp|tun|loop|fuse|vxlan|squashfs|nf_.*|nft_.*|nfnetlink.*|xt_.*|x_tables|ip6?_tables|ip6?table_.*|ip_set.*|sch_.*|cls_.*|act_.*|.*_diag|binfmt_misc|bfq|tcp_.*|btrfs|xfs|null_blk|zram|isofs|vfat|fat|nls_.*|unix_diag|quota_.*)$`)

var packages = map[string]string{
	"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "xz": "xz-utils", "mke2fs": "e2fsprogs",
	"modprobe": "kmod", "depmod": "kmod", "/lib/systemd/systemd": "systemd",
}

// prepare makes the image, or finds it made.
func prepare() (*image, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the machine is emulated on amd64 hosts only, and this is %s", runtime.GOARCH)
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "test", ".cache", "vm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := installTools(); err != nil {
		return nil, err
	}
	img := &image{dir: dir, kernel: filepath.Join(dir, "vmlinux"), initrd: filepath.Join(dir, "initrd.cpio"), modules: filepath.Join(dir, "modules", "lib", "modules")}
	stamp := filepath.Join(dir, "stamp")
	if have, _ := os.ReadFile(stamp); string(have) == imageVersion {
		return img, nil
	}
	if err := img.make(); err != nil {
		return nil, fmt.Errorf("preparing the machine: %w", err)
	}
	return img, os.WriteFile(stamp, []byte(imageVersion), 0o644)
}

func (img *image) make() error {
	work, err := os.MkdirTemp(img.dir, "work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	deb, err := downloadKernel(work)
	if err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if _, err := output("", "dpkg-deb", "-x", deb, tree); err != nil {
		return err
	}
	names, _ := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if len(names) != 1 {
		return fmt.Errorf("%s holds no kernel", filepath.Base(deb))
	}
	version := strings.TrimPrefix(filepath.Base(names[0]), "vmlinuz-")
	if err := extractKernel(names[0], img.kernel); err != nil {
		return err
	}
	if err := img.trimModules(tree, version); err != nil {
		return err
	}
	return img.makeInitrd(filepath.Join(work, "initrd"), version)
}

// installTools asks apt for the programs that are not here.
func installTools() error {
	var missing []string
	for program, pkg := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	if _, err := output("", "apt-get", args...); err == nil {
		return nil
	}
	if _, err := output("", "apt-get", "update"); err != nil {
		return err
	}
	_, err := output("", "apt-get", args...)
	return err
}

// downloadKernel fetches the package that linux-image-amd64 stands for: the generic kernel, since the cloud one has no 9p.
func downloadKernel(dir string) (string, error) {
	get := func() (string, error) {
		text, err := output("", "apt-cache", "depends", "linux-image-amd64")
		if err != nil {
			return "", err
		}
		m := regexp.MustCompile(`Depends: (linux-image-[0-9]\S+)`).FindStringSubmatch(text)
		if m == nil {
			return "", fmt.Errorf("apt knows no kernel behind linux-image-amd64")
		}
		_, err = output(dir, "apt-get", "download", m[1])
		return m[1], err
	}
	name, err := get()
	if err != nil {
		if _, err := output("", "apt-get", "update"); err != nil {
			return "", err
		}
		if name, err = get(); err != nil {
			return "", err
		}
	}
	debs, _ := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if len(debs) != 1 {
		return "", fmt.Errorf("apt downloaded no %s", name)
	}
	return debs[0], nil
}

// extractKernel takes the compressed ELF out of a bzImage (Documentation/arch/x86/boot.rst: setup_sects at 0x1f1,
// payload_offset at 0x248, payload_length at 0x24c).
func extractKernel(bzImage, vmlinux string) error {
	b, err := os.ReadFile(bzImage)
	if err != nil {
		return err
	}
	if len(b) < 0x250 {
		return fmt.Errorf("%s is no kernel", bzImage)
	}
	at := (uint64(b[0x1f1])+1)*512 + uint64(binary.LittleEndian.Uint32(b[0x248:]))
	end := at + uint64(binary.LittleEndian.Uint32(b[0x24c:]))
	if end > uint64(len(b)) || !bytes.HasPrefix(b[at:], []byte("\xfd7zXZ")) {
		return fmt.Errorf("%s holds no xz payload where its header says", bzImage)
	}
	out, err := os.Create(vmlinux)
	if err != nil {
		return err
	}
	defer out.Close()
	xz := exec.Command("xz", "-dc", "--single-stream")
	xz.Stdin, xz.Stdout, xz.Stderr = bytes.NewReader(b[at:end]), out, os.Stderr
	if err := xz.Run(); err != nil {
		return fmt.Errorf("unpacking %s: %w", bzImage, err)
	}
	return nil
}

// trimModules keeps the modules that tests load, with what they need, and indexes them anew.
func (img *image) trimModules(tree, version string) error {
	if _, err := output("", "depmod", "-b", tree, version); err != nil {
		return err
	}
	names := append([]string{}, bootModules...)
	from := filepath.Join(tree, "lib", "modules", version)
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")
		if err == nil && strings.HasSuffix(path, ".ko") && moreModules.MatchString(name) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	os.RemoveAll(filepath.Join(img.dir, "modules"))
	to := filepath.Join(img.modules, version)
	files, err := moduleFiles(tree, version, names)
	if err != nil {
		return err
	}
	for _, file := range append(files, "modules.builtin", "modules.builtin.modinfo", "modules.order") {
		rel := strings.TrimPrefix(file, from+"/")
		if err := copyFile(filepath.Join(from, rel), filepath.Join(to, rel), 0o644); err != nil {
			return err
		}
	}
	_, err = output("", "depmod", "-b", filepath.Join(img.dir, "modules"), version)
	return err
}

// moduleFiles lists the files of modules and of what they need, in loading order.
func moduleFiles(tree, version string, names []string) ([]string, error) {
	text, err := output("", "modprobe", append([]string{"-d", tree, "-S", version, "--show-depends", "-a", "-q"}, names...)...)
	if err != nil {
		return nil, err
	}
	var files []string
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) >= 2 && w[0] == "insmod" && !seen[w[1]] {
			seen[w[1]] = true
			files = append(files, w[1])
		}
	}
	return files, nil
}

// stageOne mounts the root and hands over to `vm init`. The root cannot stay an initramfs: pivot_root(2) refuses it.
const stageOne = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(cat /order); do insmod /m/$m || echo "insmod $m failed"; done
o=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $o,ro,cache=loose root /lower || exec sh -c 'echo no root; reboot -f'
mount -t ext4 -o noatime /dev/vda /scratch
mkdir -p /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/lower,upperdir=/scratch/upper,workdir=/scratch/work overlay /new
mkdir -p /new/mnt/vm /new/mnt/scratch
mount --move /scratch /new/mnt/scratch
mount -t 9p -o $o,cache=none run /new/mnt/vm
umount /proc; umount /sys
exec switch_root /new /mnt/vm/vm init
`

func (img *image) makeInitrd(work, version string) error {
	for _, d := range []string{"bin", "m", "proc", "sys", "dev", "lower", "scratch", "new"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := copyFile(busybox, filepath.Join(work, "bin", "busybox"), 0o755); err != nil {
		return err
	}
	files, err := moduleFiles(filepath.Join(img.dir, "modules"), version, bootModules)
	if err != nil {
		return err
	}
	var order []string
	for _, f := range files {
		order = append(order, filepath.Base(f))
		if err := copyFile(f, filepath.Join(work, "m", filepath.Base(f)), 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(work, "order"), []byte(strings.Join(order, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "init"), []byte(stageOne), 0o755); err != nil {
		return err
	}
	_, err = output(work, "sh", "-c", `find . | cpio -o -H newc --quiet > "$1"`, "sh", img.initrd)
	return err
}

// moduleRoot is the directory of go.mod.
func moduleRoot() (string, error) {
	text, err := output("", "go", "env", "GOMOD")
	file := strings.TrimSpace(text)
	if err == nil && filepath.Base(file) != "go.mod" { // /dev/null: here is no module
		err = errors.New("the working directory is not in glassbox's checkout")
	}
	return filepath.Dir(file), err
}

// output runs a program and returns its standard output; its standard error becomes part of the error.
func output(dir, name string, args ...string) (string, error) {
	var out, stderr bytes.Buffer
	c := exec.Command(name, args...)
	c.Dir, c.Stdout, c.Stderr = dir, &out, &stderr
	c.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out.String(), nil
}

func copyFile(from, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// lock waits for the file's lock.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
