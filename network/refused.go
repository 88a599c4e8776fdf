package network

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// causes are what an error number of rtnetlink(7) means for whoever reads it.
var causes = map[unix.Errno]string{
	unix.EPERM:      "changing networks needs CAP_NET_ADMIN in the namespace's user namespace: run it as root",
	unix.EACCES:     "changing networks needs CAP_NET_ADMIN in the namespace's user namespace: run it as root",
	unix.EOPNOTSUPP: "this kernel lacks that kind of interface: its module is not there",
	unix.EBUSY:      "the parent interface is in use in another way: macvlan and ipvlan exclude each other on one parent",
	unix.ENETDOWN:   "the interface below it is down",
}

// refused says what could not be done, and why as far as the error number tells.
func refused(what string, err error) error {
	if err == nil {
		return nil
	}
	var errno unix.Errno
	if errors.As(err, &errno) && causes[errno] != "" {
		return fmt.Errorf("%s: %w (%s)", what, err, causes[errno])
	}
	return fmt.Errorf("%s: %w", what, err)
}
