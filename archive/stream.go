package archive

import (
	"bufio"
	"io"
)

// Stream runs write beside its reader. Who closes the reader early ends it.
func Stream(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := bufio.NewWriterSize(w, 256<<10)
		err := write(b)
		if err == nil {
			err = b.Flush()
		}
		w.CloseWithError(err)
	}()
	return &streamed{r, done}
}

// streamed ends only when its writer has let go of what it holds.
type streamed struct {
	*io.PipeReader
	done chan struct{}
}

func (s *streamed) Close() error {
	err := s.PipeReader.Close()
	<-s.done
	return err
}
