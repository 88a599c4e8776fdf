package oci

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// RootlessMode says what to do where we may not make a container's cgroup.
type RootlessMode string

// NewRootlessMode reads the value of --rootless: auto, or a boolean as runc takes it.
func NewRootlessMode(word string) (RootlessMode, error) {
	if word == "" || word == "auto" {
		return "auto", nil
	}
	if b, err := strconv.ParseBool(word); err == nil {
		return RootlessMode(strconv.FormatBool(b)), nil
	}
	return "", errors.New("invalid value " + strconv.Quote(word) + " for --rootless: it is true, false or auto")
}

// forgives says whether a container that failed so is to be made without a cgroup.
func (r RootlessMode) forgives(err error) bool {
	var f *program.HostFailure
	if !errors.As(err, &f) || !strings.HasPrefix(f.Request.From, "linux.cgroupsPath") && !strings.HasPrefix(f.Request.From, "linux.resources") {
		return false
	}
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EROFS) {
		return false
	}
	return r == "true" || r == "auto" && unprivileged()
}

// unprivileged says whether we are not the machine's root: another user, or the root of a user namespace.
func unprivileged() bool {
	if os.Geteuid() != 0 {
		return true
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295"
}
