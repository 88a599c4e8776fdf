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

// silent is BuildKit's kind of quiet: the image's id, or the place in the Dockerfile that failed.
type silent struct {
	*board
	out io.Writer
}

func (s silent) Close(r Result, err error) error {
	if err := s.board.Close(r, err); err != nil || r.Image == "" {
		return err
	}
	_, err = fmt.Fprintln(s.out, r.Image)
	return err
}

// blank shows nothing of a board.
type blank struct{ err io.Writer }

func (blank) begun(*vertex)              {}
func (blank) moved(*vertex, *part)       {}
func (blank) wrote(*vertex, int, []byte) {}
func (blank) ended(*vertex)              {}
func (blank) refresh()                   {}
func (b blank) close(_ []*vertex, s script, _ Result, err error) error {
	s.show(b.err, err)
	return nil
}
