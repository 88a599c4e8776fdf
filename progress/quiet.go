package progress

import (
	"fmt"
	"io"
)

// quiet shows the image's id alone. What the classic builder would have printed is kept, and shown should the build fail.
type quiet struct {
	*classic
	held     *held
	out, err io.Writer
}

func newQuiet(out, err io.Writer) *quiet {
	h := &held{}
	return &quiet{classic: newClassic(h), held: h, out: out, err: err}
}

func (q *quiet) Close(r Result, err error) error {
	if closed := q.classic.Close(Result{}, err); closed != nil {
		if released := q.held.release(q.err); released != nil {
			return fmt.Errorf("%w (its output is lost: %w)", closed, released)
		}
		return closed
	}
	q.held.drop()
	if r.Image == "" {
		return nil
	}
	_, err = fmt.Fprintln(q.out, r.Image)
	return err
}
