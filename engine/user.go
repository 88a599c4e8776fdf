package engine

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// account is who a process runs as, and the home that goes with it.
type account struct {
	specs.User
	Home string
}

// lookupUser reads who wants to be who in the container's own /etc/passwd and /etc/group, as they are at this start.
func lookupUser(f files, who string, groups []string) (account, error) {
	passwd, err := optional(f, "/etc/passwd")
	if err != nil {
		return account{}, err
	}
	defer passwd.Close()
	group, err := optional(f, "/etc/group")
	if err != nil {
		return account{}, err
	}
	defer group.Close()
	u, err := user.GetExecUser(who, nil, passwd, group)
	if err != nil {
		return account{}, invalid("%w", err)
	}
	a := account{User: specs.User{UID: uint32(u.Uid), GID: uint32(u.Gid)}, Home: u.Home}
	more := u.Sgids
	if len(groups) > 0 {
		again, err := optional(f, "/etc/group")
		if err != nil {
			return a, err
		}
		defer again.Close()
		added, err := user.GetAdditionalGroups(groups, again)
		if err != nil { // the package's newer words begin in lower case
			return a, invalid("%s", strings.Replace(err.Error(), "unable to find group", "Unable to find group", 1))
		}
		more = append(more, added...)
	}
	// Docker puts the process's own group first.
	a.AdditionalGids = []uint32{a.GID}
	for _, g := range more {
		a.AdditionalGids = append(a.AdditionalGids, uint32(g))
	}
	return a, nil
}

// optional opens a file that not every image has; a missing one is empty.
func optional(f files, name string) (io.ReadCloser, error) {
	file, err := f.open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EINVAL) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}
