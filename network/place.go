package network

import (
	"errors"
	"os"
)

// place is where a request is carried out: on the host, or in a container's network namespace.
type place struct {
	typed   string                                         // what is typed before the command
	speak   func(f func(*socket) error) error              // over a netlink socket of that place
	setting func(file string, flags int) (*os.File, error) // opens a file below /proc/sys as it is there
}

// here is the host, asked with one socket a request.
var here = place{
	speak: func(f func(*socket) error) error {
		s, err := dial()
		if err != nil {
			return err
		}
		defer s.close()
		return f(s)
	},
	setting: func(file string, flags int) (*os.File, error) { return os.OpenFile(file, flags, 0) },
}

var errPlan = errors.New("a plan for a container without a network namespace cannot be carried out")

// nowhere is a namespace that is not made yet: a plan is only printed.
var nowhere = place{
	typed:   "nsenter -t <pid> -n ",
	speak:   func(func(*socket) error) error { return errPlan },
	setting: func(string, int) (*os.File, error) { return nil, errPlan },
}
