package dockerfile

import (
	"fmt"
	"strings"
)

// Failure is why a build has ended without an image.
type Failure struct {
	Cause error
	Begun bool // a step had been shown before: Docker's daemon then answers in the build's output, which its client prints as it is
}

func (f *Failure) Error() string { return f.Cause.Error() }
func (f *Failure) Unwrap() error { return f.Cause }

// BuildKit is how BuildKit says it.
func (e *Exited) BuildKit() string {
	return fmt.Sprintf("process %q did not complete successfully: exit code: %d", strings.Join(e.Args, " "), e.Code)
}
