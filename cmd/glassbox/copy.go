package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"glassbox/archive"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

func copyVerb() verb {
	return verb{
		use:  "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tcp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
		same: "container cp, cp", short: "Copy files/folders between a container and the local filesystem",
		long: `Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.`,
		min: 2, max: 2, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			follow := c.flags.BoolP("follow-link", "L", false, "Always follow symbol link in SRC_PATH")
			owners := c.flags.BoolP("archive", "a", false, "Archive mode (copy all uid/gid information)")
			quiet := c.flags.BoolP("quiet", "q", false, "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached")
			return func(ctx context.Context, args []string) error {
				if !c.flags.Changed("quiet") {
					*quiet = !isTerminal(c.stdout)
				}
				return (&copying{call: c, follow: *follow, owners: *owners, quiet: *quiet}).run(ctx, args[0], args[1])
			}
		},
	}
}

// copying is one `cp`.
type copying struct {
	*call
	containers containers
	follow     bool
	owners     bool
	quiet      bool
}

func (c *copying) run(ctx context.Context, source, destination string) error {
	switch "" {
	case source:
		return plainFailure("source can not be empty")
	case destination:
		return plainFailure("destination can not be empty")
	}
	from, sourcePath := splitPlace(source)
	to, destPath := splitPlace(destination)
	switch {
	case from != "" && to != "":
		return plainFailure("copying between containers is not supported")
	case from == "" && to == "":
		return plainFailure("must specify at least one container source")
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	c.containers = b.containers
	if from != "" {
		return c.from(ctx, from, sourcePath, destPath)
	}
	return c.to(ctx, to, sourcePath, destPath)
}

// splitPlace takes CONTAINER:PATH apart. A path of the host that holds a colon is told by its beginning, as scp does.
func splitPlace(arg string) (name, path string) {
	name, path, found := strings.Cut(arg, ":")
	if filepath.IsAbs(arg) || !found || strings.HasPrefix(name, ".") {
		return "", arg
	}
	return name, path
}

// from copies out of a container.
func (c *copying) from(ctx context.Context, name, source, destination string) error {
	if destination != "-" {
		absolute, err := absolutePath(destination)
		if err != nil {
			return err
		}
		destination = absolute
	}
	if err := checkOutput(destination); err != nil {
		return err
	}
	rebase := ""
	if c.follow {
		stat, err := c.containers.StatPath(ctx, name, source)
		if err == nil && stat.Mode&fs.ModeSymlink != 0 {
			source, rebase = followed(source, linkTarget(source, stat.LinkTarget))
		}
	}
	content, stat, err := c.containers.CopyFrom(ctx, name, source)
	if err != nil {
		return engineFailure(err)
	}
	defer content.Close()
	if destination == "-" {
		_, err := io.Copy(c.stdout, content)
		return err
	}
	p := c.begin("Copying from container - ")
	err = extractLocally(ctx, p.reader(content), resource{source, stat.Mode.IsDir(), rebase}, destination)
	return p.end(err, destination)
}

// to copies into a container.
func (c *copying) to(ctx context.Context, name, source, destination string) error {
	target, err := c.destination(ctx, name, destination)
	if err != nil {
		return err
	}
	o := container.CopyToContainerOptions{CopyUIDGID: c.owners}
	if source == "-" {
		if !target.dir {
			return plainFailure("destination \"%s:%s\" must be a directory", name, destination)
		}
		p := c.begin("Copying to container - ")
		err := engineFailure(c.containers.CopyTo(ctx, name, target.path, c.stdin, o)) // not counted, as in Docker
		return p.end(err, name+":"+target.path)
	}
	if source, err = absolutePath(source); err != nil {
		return err
	}
	what, err := localResource(source, c.follow)
	if err != nil {
		return plainFailure("%w", err)
	}
	plan, err := arrange(what, target)
	if err != nil {
		return plainFailure("%w", err)
	}
	content, err := pack(what, plan.name)
	if err != nil {
		return plainFailure("%w", err)
	}
	defer content.Close()
	p := c.begin("Copying to container - ")
	err = engineFailure(c.containers.CopyTo(ctx, name, plan.dir, p.reader(content), o))
	return p.end(err, name+":"+target.path)
}

// destination looks what is at a path of a container, following one link, as Docker.
func (c *copying) destination(ctx context.Context, name, path string) (target, error) {
	t := target{path: path}
	stat, err := c.containers.StatPath(ctx, name, path)
	if err == nil && stat.Mode&fs.ModeSymlink != 0 {
		t.path = linkTarget(path, stat.LinkTarget)
		stat, err = c.containers.StatPath(ctx, name, t.path)
	}
	if err := special(stat.Mode); err != nil {
		return t, plainFailure("destination \"%s:%s\" must be a directory or a regular file: %w", name, path, err)
	}
	// Any error is left to the copying itself: what does not exist can be made, if the directory above exists.
	t.exists, t.dir = err == nil, err == nil && stat.Mode.IsDir()
	return t, nil
}

// special refuses what is neither a directory nor holds data.
func special(mode fs.FileMode) error {
	switch {
	case mode&fs.ModeDevice != 0:
		return errors.New("got a device")
	case mode&fs.ModeIrregular != 0:
		return errors.New("got an irregular file")
	}
	return nil
}

// checkOutput refuses an output path that cannot be written, in Docker's words.
func checkOutput(path string) error {
	dir := filepath.Dir(filepath.Clean(path))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return plainFailure("invalid output path: directory %q does not exist", dir)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return plainFailure("%w", err)
	}
	if err := special(info.Mode()); err != nil {
		return plainFailure("invalid output path: %q must be a directory or a regular file: %w", path, err)
	}
	return nil
}

// pack writes a file or directory of the host as an archive, in which it bears a name.
func pack(what resource, name string) (io.ReadCloser, error) {
	fd, err := unix.Open(what.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "lstat", Path: what.path, Err: err}
	}
	file := os.NewFile(uintptr(fd), what.path)
	o := archive.Options{Root: name, Enter: func(string) bool { return true }}
	return archive.Stream(func(w io.Writer) error { return errors.Join(archive.Write(w, file, o), file.Close()) }), nil
}

// extractLocally makes files of the host of an archive that comes out of a container.
func extractLocally(ctx context.Context, content io.Reader, what resource, destination string) error {
	t, err := localTarget(destination)
	if err != nil {
		return plainFailure("%w", err)
	}
	plan, err := arrange(what, t)
	if err != nil {
		return plainFailure("%w", err)
	}
	dir, err := os.Open(plan.dir)
	if err != nil {
		return plainFailure("%w", err)
	}
	defer dir.Close()
	to := archive.Target{Root: dir, Shown: filepath.Clean(plan.dir), Host: true}
	if _, base := splitEntry(what.path); base != plan.name {
		to.Rename = archive.Rename{From: strings.TrimSuffix(base, "/"), To: plan.name}
	}
	return archive.Extract(ctx, content, to)
}
