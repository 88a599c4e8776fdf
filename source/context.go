package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Context is the build context: the files that COPY and ADD may name, and the Dockerfile.
type Context struct {
	Tree
	Dockerfile []byte // its text
	Wrong      error  // why there is none to build from; Docker says it once it has the context
	Name       string // under which it was found or asked for: "Dockerfile"
	Where      string // what the user typed: tells one build from another when causes of cache misses are looked for

	temp  string // what was fetched or unpacked
	added bool   // the Dockerfile is not one of its files: Docker's client sends it along
	sent  int64  // by whom made the archive that it came as; -1: not as one
}

// mostDockerfile bounds Dockerfiles, far beyond what anybody writes.
const mostDockerfile = 16 << 20

// Open opens what `build` names: a directory, "-" (a Dockerfile or an archive from In), a URL of a Dockerfile or an archive, a git URL with
// #REF:DIRECTORY.
func Open(ctx context.Context, where string, o Options) (*Context, error) {
	c := &Context{Where: where, sent: -1}
	err := c.open(ctx, where, o)
	if c.Wrong == nil && len(c.Dockerfile) == 0 {
		c.Wrong = fmt.Errorf("the Dockerfile (%s) cannot be empty", c.Name)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Context) open(ctx context.Context, where string, o Options) error {
	switch _, err := os.Stat(where); {
	case where == "-" && o.Dockerfile == "-":
		return errors.New("invalid argument: can't use stdin for both build context and dockerfile")
	case where == "-":
		return prefixedNot(c.stream(ctx, o.In, o), "unable to prepare context from STDIN")
	case err == nil:
		return c.local(ctx, where, o)
	case isGitURL(where):
		return prefixedNot(c.repository(ctx, where, o), "unable to prepare context")
	case isURL(where):
		return c.remote(ctx, where, o)
	}
	return fmt.Errorf("unable to prepare context: path %q not found", where)
}

// prefixedNot puts words before an error, if there is one.
func prefixedNot(err error, words string) error {
	if err == nil {
		return nil
	}
	return prefixed(words, err)
}

// Close lets go of it, and removes what was fetched or unpacked.
func (c *Context) Close() error {
	var err error
	if c.Root != nil {
		err = c.Root.Close()
	}
	if c.temp != "" {
		err = errors.Join(err, os.RemoveAll(c.temp))
	}
	return err
}

// local is a directory.
func (c *Context) local(ctx context.Context, where string, o Options) error {
	dir, err := directoryAt(where)
	if err != nil {
		return prefixed("unable to prepare context", err)
	}
	return c.directory(ctx, dir, o)
}

func directoryAt(where string) (string, error) {
	dir, err := filepath.Abs(where)
	if err != nil {
		return "", fmt.Errorf("unable to get absolute context directory of given context directory %q: %w", where, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("unable to evaluate symlinks in context path: %w", err)
	}
	stat, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("unable to stat context directory %q: %w", dir, err)
	}
	if !stat.IsDir() {
		return "", fmt.Errorf("context must be a directory: %s", dir)
	}
	return dir, nil
}

// directory opens a directory of the user's, with its Dockerfile and what that or it itself wants to be ignored.
func (c *Context) directory(ctx context.Context, dir string, o Options) (err error) {
	var ignore string
	if o.Dockerfile == "-" {
		c.Name, c.added = "Dockerfile", true
		if c.Dockerfile, err = readDockerfile(o.In); err != nil {
			return err
		}
	} else {
		file, err := dockerfileAt(dir, o.Dockerfile)
		if err != nil {
			return prefixed("unable to prepare context", err)
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return fmt.Errorf("unable to prepare context: unable to get relative Dockerfile path: %w", err)
		}
		c.Name, c.added = rel, strings.HasPrefix(rel, "../")
		if c.added {
			c.Name = o.Dockerfile
		}
		if c.Dockerfile, err = dockerfileIn(file); err != nil {
			return err
		}
		ignore = file + ".dockerignore"
	}
	if c.Root, err = os.Open(dir); err != nil {
		return prefixed("unable to prepare context", err)
	}
	if c.Ignore, err = c.ignored(dir, ignore, filepath.Join(dir, ".dockerignore")); err != nil {
		return err
	}
	return c.measure(ctx, dir)
}

// dockerfileAt finds the Dockerfile: the one that is asked for, relative to where the user stands, or the directory's own.
func dockerfileAt(dir, asked string) (string, error) {
	file := asked
	if file == "" {
		file = filepath.Join(dir, "Dockerfile")
		if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
			if lower := filepath.Join(dir, "dockerfile"); exists(lower) {
				file = lower
			}
		}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("unable to get absolute path to Dockerfile: %w", err)
	}
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return "", fmt.Errorf("unable to evaluate symlinks in Dockerfile path: %w", err)
	}
	return file, nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func dockerfileIn(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("unable to open Dockerfile: %w", err)
	}
	defer f.Close()
	if stat, err := f.Stat(); err == nil && stat.IsDir() {
		return nil, fmt.Errorf("failed to read dockerfile: %s is a directory", file)
	}
	return readDockerfile(f)
}

func readDockerfile(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostDockerfile+1))
	if err != nil {
		return nil, fmt.Errorf("unexpected error reading Dockerfile: %w", err)
	}
	if len(text) > mostDockerfile {
		return nil, fmt.Errorf("the Dockerfile is larger than %d bytes", mostDockerfile)
	}
	return text, nil
}

// ignored reads the first of the files that is there: the one that belongs to the Dockerfile goes before that of the directory. In what was fetched a
// link must not lead to a file of this machine.
func (c *Context) ignored(dir string, files ...string) (*Ignore, error) {
	for _, file := range files {
		real, err := filepath.EvalSymlinks(file)
		if file == "" || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.temp != "" && !strings.HasPrefix(real, dir+"/") {
			return nil, fmt.Errorf("%s must be within the build context: a link in it leads out", filepath.Base(file))
		}
		f, err := os.Open(real)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return ReadIgnore(f)
	}
	return nil, nil
}

// unpackedDirectory opens a directory of ours, into which a context was unpacked. Nothing in it is ignored but the Dockerfile and .dockerignore
// themselves, if that names them: an archive holds what its maker wanted in it.
func (c *Context) unpackedDirectory(dir, asked string) (err error) {
	if c.Root, err = os.Open(dir); err != nil {
		return err
	}
	if asked == "" {
		asked = "Dockerfile"
	}
	c.Name = asked
	at, err := follow(int(c.Root.Fd()), path.Clean(asked), nil)
	if err == nil && !at.there() && asked == "Dockerfile" {
		at.close()
		if at, err = follow(int(c.Root.Fd()), "dockerfile", nil); err == nil && at.there() {
			c.Name = "dockerfile"
		}
	}
	if err != nil {
		return err
	}
	defer at.close()
	if !at.there() {
		c.Wrong = fmt.Errorf("Cannot locate specified Dockerfile: %s", asked) //nolint:staticcheck // Docker's words
		return nil
	}
	if at.kind() != unix.S_IFREG { // it could be a device
		return fmt.Errorf("failed to read dockerfile: %s is no file", c.Name)
	}
	if c.Dockerfile, err = dockerfileIn(descriptor(at.fd)); err != nil {
		return err
	}
	return c.forget()
}

// forget removes Dockerfile and .dockerignore where that says so.
func (c *Context) forget() error {
	at, err := follow(int(c.Root.Fd()), ".dockerignore", nil)
	if err != nil {
		return err
	}
	defer at.close()
	if !at.there() || at.kind() != unix.S_IFREG {
		return nil
	}
	f, err := os.Open(descriptor(at.fd))
	if err != nil {
		return err
	}
	defer f.Close()
	ignore, err := ReadIgnore(f)
	if err != nil || ignore == nil {
		return err
	}
	var own []string
	for _, name := range []string{".dockerignore", path.Clean(c.Name)} {
		if ignore.Hides(name, false) {
			own = append(own, escaped(name))
		}
	}
	c.Ignore, err = newIgnore(own)
	return err
}

// escaped is a pattern for a name and no other.
func escaped(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `!`, `\!`).Replace(name)
}
