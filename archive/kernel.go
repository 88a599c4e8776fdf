package archive

import (
	"archive/tar"
	"io"

	"golang.org/x/sys/unix"
)

// madeUp are file systems whose files the kernel makes as they are read: their sizes say nothing.
var madeUp = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true, unix.CGROUP_SUPER_MAGIC: true,
	unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true, unix.SECURITYFS_MAGIC: true, unix.BPF_FS_MAGIC: true,
}

// most is what is read of such a file: some never end.
const most = 4 << 20

func isMadeUp(n *node) bool {
	var s unix.Statfs_t
	return n.Blocks == 0 && unix.Fstatfs(n.fd, &s) == nil && madeUp[int64(s.Type)]
}

// madeUp writes such a file as it reads now. One that cannot be read, as many cannot, is left out, unless it was asked for by name.
func (p *writer) madeUp(n *node, h *tar.Header) error {
	content, err := readAll(n.fd)
	if err != nil {
		if n.name == p.Root {
			return named("read", n.name, err)
		}
		return nil
	}
	h.Size = int64(len(content))
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err = p.tar.Write(content)
	return err
}

func readAll(held int) ([]byte, error) {
	fd, err := unix.Open(descriptor(held), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return io.ReadAll(io.LimitReader(reader(fd), most))
}

// reader reads a descriptor without Go's poller, which would wait where the kernel says EAGAIN.
type reader int

func (r reader) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(r), b)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
