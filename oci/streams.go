package oci

import (
	"fmt"
	"os"

	"glassbox/namespaces"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ownStreams gives our pipes to the process's user: to open /dev/stdout is to open the pipe anew, with the user's rights. Files and terminals
// stay whose they are.
func ownStreams(p *specs.Process, uids []specs.LinuxIDMapping) error {
	if p == nil || p.Terminal || p.User.UID == 0 && len(uids) == 0 {
		return nil
	}
	uid := p.User.UID
	if len(uids) > 0 {
		var ok bool
		if uid, ok = namespaces.Host(uids, uid); !ok {
			return nil // the runtime refuses it
		}
	}
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO || st.Uid == uid {
			continue
		}
		if err := unix.Fchown(int(f.Fd()), int(uid), -1); err != nil && err != unix.EPERM && err != unix.EROFS {
			return fmt.Errorf("giving %s to user %d: %w", f.Name(), uid, err)
		}
	}
	return nil
}
