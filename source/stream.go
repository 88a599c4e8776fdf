package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"glassbox/archive"
	"glassbox/image"
)

// stream is a context that comes as one stream: an archive, or nothing but a Dockerfile.
func (c *Context) stream(ctx context.Context, r io.Reader, o Options) error {
	counted := &counter{from: r}
	b := bufio.NewReaderSize(counted, 64<<10)
	head, err := b.Peek(2 * block)
	if err != nil && err != io.EOF {
		return fmt.Errorf("failed to peek context header from STDIN: %w", err)
	}
	_, err = tar.NewReader(bytes.NewReader(head)).Next()
	archived := packed(head) || err == nil
	switch {
	case !archived && o.Dockerfile == "-":
		return errors.New("build context is not an archive")
	case !archived && o.Dockerfile != "":
		return errors.New("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
	}
	dir, err := c.temporary(o)
	if err != nil {
		return err
	}
	if !archived {
		text, err := readDockerfile(b)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "Dockerfile"), text, 0o600)
		}
		if err != nil {
			return err
		}
		return c.unpackedDirectory(dir, "Dockerfile")
	}
	if err := spread(ctx, b, dir); err != nil {
		return err
	}
	c.sent = counted.n
	if o.Dockerfile == "-" {
		if c.Dockerfile, err = readDockerfile(o.In); err != nil {
			return err
		}
		c.Name, c.added = "Dockerfile", true
		c.Root, err = os.Open(dir)
		return err
	}
	return c.unpackedDirectory(dir, o.Dockerfile)
}

// spread unpacks a context. It reads the stream to its end: whoever writes it must not die of a broken pipe.
func spread(ctx context.Context, r io.Reader, dir string) error {
	plain, err := image.Decompress(r)
	if err != nil {
		return err
	}
	defer plain.Close()
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := (archive.Spread{Root: root}).Extract(ctx, plain); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// temporary makes the directory that goes with the context.
func (c *Context) temporary(o Options) (dir string, err error) {
	c.temp, err = os.MkdirTemp(o.Temp, "context-")
	return c.temp, err
}

type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	return n, err
}

// remote is a context at a URL. Docker's client fetches it and sends it on as if it had come on its standard input.
func (c *Context) remote(ctx context.Context, address string, o Options) error {
	answer, err := fetch(ctx, address)
	if err != nil {
		return fmt.Errorf("unable to download remote context %s: %w", address, err)
	}
	defer answer.Body.Close()
	if o.Told != nil {
		fmt.Fprintf(o.Told, "Downloading build context from remote url: %s\n", address)
	}
	body := &lengthy{from: answer.Body, left: answer.ContentLength}
	return prefixedNot(c.stream(ctx, body, o), "unable to prepare context from "+address)
}

// lengthy is a body that must be as long as was announced, if it was.
type lengthy struct {
	from io.Reader
	left int64
}

func (l *lengthy) Read(b []byte) (int, error) {
	n, err := l.from.Read(b)
	if l.left >= 0 {
		if l.left -= int64(n); err == io.EOF && l.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
