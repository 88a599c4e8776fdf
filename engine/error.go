package engine

import (
	"errors"
	"fmt"
)

// Class is what kind of failure an Error is; the API makes a status code of it.
type Class uint8

const (
	Internal         Class = iota // the kernel or the disk refused
	NotFound                      // the object does not exist
	Conflict                      // the object is in the wrong state
	InvalidParameter              // the request makes no sense
	Forbidden                     // the object must not be treated so
)

// Error is a failure in Docker's words.
type Error struct {
	Class Class
	Text  string
	Cause error
	Exit  int   // what `run` exits with where that is not 125: 126, 127
	Hint  *Hint // what else is known, for people
}

// Hint says why something failed, how to check it, what cures it, and which lesson is about it. Empty lines are not printed.
type Hint struct{ Why, Check, Fix, Learn string }

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether err is an Error of that class.
func Is(err error, class Class) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == class
}

func notFound(ref string) error {
	return &Error{Class: NotFound, Text: "No such container: " + ref}
}

func notRunning(id string) error {
	return &Error{Class: Conflict, Text: "container " + id + " is not running"}
}

func forbidden(format string, args ...any) error {
	return &Error{Class: Forbidden, Text: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &Error{Class: Conflict, Text: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: InvalidParameter, Text: err.Error(), Cause: errors.Unwrap(err)}
}

// prefixed puts words before an error and keeps its class.
func prefixed(words string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		c := *e
		c.Text, c.Cause = words+": "+err.Error(), err
		return &c
	}
	return fmt.Errorf("%s: %w", words, err)
}
