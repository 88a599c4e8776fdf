package network

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// causes are what an error number of rtnetlink(7) means beside what the kernel says of it.
var causes = map[unix.Errno]string{
	unix.EPERM: "changing networks needs CAP_NET_ADMIN in the user namespace of the network namespace: run it as root",
	unix.EROFS: "/proc/sys is read-only here",
}

// deviceCauses are those for an interface that was to be made or brought up.
var deviceCauses = map[unix.Errno]string{
	unix.EOPNOTSUPP: "this kernel lacks that kind of interface: its module is not there",
	unix.EBUSY:      "another interface on that parent has the hardware address, or the parent is used by the other of macvlan and ipvlan",
	unix.ENETDOWN:   "the interface below it is down",
	unix.EEXIST:     "an interface has that name, on the host or in the container",
}

// refused says what could not be done, and why as far as the error number tells.
func refused(what string, err error) error { return because(what, err, causes) }

// unmade is refused for an interface.
func unmade(what string, err error) error {
	if err = because(what, err, deviceCauses); err == nil || !errors.Is(err, unix.EPERM) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, causes[unix.EPERM])
}

func because(what string, err error, causes map[unix.Errno]string) error {
	var errno unix.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno) && causes[errno] != "":
		return fmt.Errorf("%s: %w (%s)", what, err, causes[errno])
	}
	return fmt.Errorf("%s: %w", what, err)
}
