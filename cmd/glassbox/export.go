package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func exportVerb() verb {
	return verb{
		use: "export [OPTIONS] CONTAINER", same: "container export, export",
		short: "Export a container's filesystem as a tar archive", min: 1, max: 1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			output := c.flags.StringP("output", "o", "", "Write to a file, instead of STDOUT")
			return func(ctx context.Context, args []string) error {
				if *output == "" && isTerminal(c.stdout) {
					return plainFailure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
				}
				if *output != "" {
					if err := writableFile(*output); err != nil {
						return plainFailure("failed to export container: %w", err)
					}
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				content, err := b.containers.Export(ctx, args[0])
				if err != nil {
					return engineFailure(err)
				}
				defer content.Close()
				if *output == "" {
					_, err = io.Copy(c.stdout, content)
				} else {
					err = replaceFile(*output, content)
				}
				return engineFailure(err)
			}
		},
	}
}

// writableFile refuses, in Docker's words, what a new file is not to replace.
func writableFile(name string) error {
	dir := filepath.Dir(name)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "stat", Path: dir, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return fmt.Errorf("invalid output path: %w", err)
	}
	if info, err = os.Lstat(name); err != nil {
		return nil
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return errors.New("cannot write to a directory")
	case mode&fs.ModeSymlink != 0:
		return errors.New("cannot write to a symbolic link directly")
	case mode&fs.ModeNamedPipe != 0:
		return errors.New("cannot write to a named pipe (FIFO)")
	case mode&fs.ModeSocket != 0:
		return errors.New("cannot write to a socket")
	case mode&fs.ModeCharDevice != 0:
		return errors.New("cannot write to a character device file")
	case mode&fs.ModeDevice != 0:
		return errors.New("cannot write to a block device file")
	}
	return nil
}

// replaceFile writes a file that appears only when it is whole.
func replaceFile(name string, content io.Reader) error {
	return writeFile(name, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-"+filepath.Base(name))
	if err != nil {
		return err
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
