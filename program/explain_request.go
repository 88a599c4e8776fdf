package program

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// Tolerated is a refusal with which a request has what it wanted all the same, such as a directory that is already there.
// Do returns it so that the account tells what the kernel answered.
type Tolerated struct{ Errno unix.Errno }

func (t Tolerated) Error() string { return t.Errno.Error() + ", which is tolerated" }

func (t Tolerated) Unwrap() error { return t.Errno }

// Done is the request after Do returned err.
func (r Request) Done(err error, at time.Duration) Done {
	failed := err != nil && !errors.As(err, new(Tolerated)) && !errors.As(err, new(NotMade))
	return Done{Call: r.Call, Result: r.answer(err), From: r.From, Why: r.Why, At: at, Failed: failed}
}

// answer is the result as strace prints it.
func (r Request) answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil && r.Gave != nil:
		return r.Gave()
	case err == nil && r.Gives != "":
		return r.Gives
	case err == nil && strings.HasPrefix(r.Call, "write("):
		return r.Call[strings.LastIndexByte(r.Call, ' ')+1 : len(r.Call)-1] // the kernel's own files take all or nothing
	case err == nil:
		return "0"
	case errors.As(err, &errno):
		return refused(int64(errno))
	}
	return err.Error()
}

// refused is an error number as strace prints the result of a call.
func refused(errno int64) string {
	e := linux.Meaning(int(errno))
	if e.Name == "" {
		return "-1 (errno " + strconv.FormatInt(errno, 10) + ")"
	}
	return "-1 " + e.Name + " (" + e.Message + ")"
}
