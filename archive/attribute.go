package archive

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	attributeRecord     = "SCHILY.xattr."
	capabilityAttribute = "security.capability"
)

// overlayOwn: in a tree these would be orders to the kernel.
func overlayOwn(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.")
}

// Offsets and versions of security.capability, linux/capability.h.
const (
	capabilityVersion = 3 // the byte that holds it
	boundCapability   = 3 // to a user namespace's root
	freeCapability    = 2
	freeLength        = 20
)

func unbound(name string, value []byte) []byte {
	if name == capabilityAttribute && len(value) > freeLength && value[capabilityVersion] == boundCapability {
		value = value[:freeLength]
		value[capabilityVersion] = freeCapability
	}
	return value
}

// portable: the attribute means the same elsewhere, and has a form in an archive, where "=" ends a name.
func portable(name string) bool {
	return (name == capabilityAttribute || strings.HasPrefix(name, "user.")) && !overlayOwn(name) && !strings.Contains(name, "=")
}

// descriptor names the file that a descriptor stands for, even one of O_PATH.
func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func attributeNames(fd int) ([]string, error) {
	for {
		n, err := unix.Listxattr(descriptor(fd), nil)
		if err == unix.ENOTSUP || err == nil && n == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		b := make([]byte, n)
		n, err = unix.Listxattr(descriptor(fd), b)
		if err == unix.ERANGE {
			continue // one more has come
		}
		return strings.FieldsFunc(string(b[:max(n, 0)]), func(r rune) bool { return r == 0 }), err
	}
}

func attribute(fd int, name string) (value []byte, ok bool, err error) {
	for {
		n, err := unix.Getxattr(descriptor(fd), name, nil)
		if err == nil {
			value = make([]byte, n)
			n, err = unix.Getxattr(descriptor(fd), name, value)
		}
		switch err {
		case nil:
			return value[:n], true, nil
		case unix.ERANGE:
			continue // it has become longer
		case unix.ENODATA, unix.ENOTSUP:
			return nil, false, nil
		}
		return nil, false, err
	}
}
