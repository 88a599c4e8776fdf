package namespaces

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Observe looks at the namespaces that a config.json wants joined. What is no namespace, or of another type, is refused. It returns the
// CLONE_NEW* flags of those in which we are already: to join them is to share them.
func Observe(spec *specs.Spec) (shared uint64, err error) {
	set, err := Of(spec)
	if err != nil {
		return 0, err
	}
	for _, j := range set.Join {
		ours, err := j.ours()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", j.From, err)
		}
		if ours {
			shared |= j.Flag
		}
	}
	return shared, nil
}

const nsfs = 0x6e736673 // NSFS_MAGIC, linux/magic.h

// ours checks that the path names a namespace of its type, and says whether it is our own.
func (j Joined) ours() (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(j.Path, &fs); err != nil {
		return false, &os.PathError{Op: "namespace", Path: j.Path, Err: err}
	}
	if fs.Type != nsfs { // before it is opened: it could be a FIFO
		return false, fmt.Errorf("%s is not a namespace", j.Path)
	}
	f, err := os.Open(j.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	flag, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		return false, fmt.Errorf("%s: ioctl(NS_GET_NSTYPE): %w", j.Path, err)
	}
	if uint64(flag) != j.Flag {
		return false, fmt.Errorf("%s is a %s, not a %s", j.Path, Title(uint64(flag)), Title(j.Flag))
	}
	var theirs, own unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &theirs); err != nil {
		return false, err
	}
	err = unix.Stat("/proc/self/ns/"+files[j.Flag], &own)
	return err == nil && theirs.Dev == own.Dev && theirs.Ino == own.Ino, err
}

// files are the names below /proc/PID/ns, namespaces(7).
var files = map[uint64]string{
	unix.CLONE_NEWUSER: "user", unix.CLONE_NEWNS: "mnt", unix.CLONE_NEWPID: "pid", unix.CLONE_NEWNET: "net",
	unix.CLONE_NEWIPC: "ipc", unix.CLONE_NEWUTS: "uts", unix.CLONE_NEWCGROUP: "cgroup", unix.CLONE_NEWTIME: "time",
}
