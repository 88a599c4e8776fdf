package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glassbox/archive"
)

// Export reads a container's root as an archive. What is mounted in it is not part of it.
func (c *Containers) Export(ctx context.Context, ref string) (io.ReadCloser, error) {
	v, err := c.bareView(ctx, ref)
	if Is(err, NotFound) || Is(err, InvalidParameter) {
		return nil, err
	}
	if err != nil {
		return nil, prefixed("Error exporting container "+ref, err)
	}
	return archive.Stream(func(w io.Writer) error {
		err := archive.Write(w, v.root, archive.Options{Owners: archive.Owners(v.IDMap)})
		if err == nil {
			c.tell(v.record, "export")
		} else {
			err = fmt.Errorf("Error exporting container %s: %w", ref, err) //nolint:staticcheck // Docker's words
		}
		return errors.Join(err, v.close())
	}), nil
}
