package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"

	"glassbox/engine"
	"glassbox/source"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// scene is what the mounts of one RUN show, and what has to be ended after it.
type scene struct {
	build  *build
	run    running
	mounts []engine.StepMount
	env    []string // of the process, in no file
	agents int      // ssh mounts so far
	ends   []func() error
}

// scene prepares what RUN --mount and its here-documents show.
func (b *build) scene(ctx context.Context, r running) (*scene, error) {
	s := &scene{build: b, run: r}
	for _, m := range instructions.GetMounts(r.command) {
		if err := s.add(ctx, m); err != nil {
			return nil, errors.Join(err, s.end())
		}
	}
	for _, f := range r.files {
		s.mounts = append(s.mounts, engine.StepMount{
			Target: "/dev/pipes/" + f.Name, ReadOnly: true, Data: &engine.StepData{Bytes: []byte(f.Data), Mode: 0o755, Program: true},
		})
	}
	return s, nil
}

func (s *scene) end() error {
	var errs []error
	for _, end := range s.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (s *scene) add(ctx context.Context, m *instructions.Mount) error {
	switch m.Type {
	case instructions.MountTypeSecret:
		return s.secret(m)
	case instructions.MountTypeSSH:
		return s.ssh(m)
	}
	shown := engine.StepMount{Target: s.target(m.Target), ReadOnly: m.ReadOnly}
	if shown.Target == "/" {
		return fmt.Errorf("invalid mount target %q", shown.Target)
	}
	var err error
	switch m.Type {
	case instructions.MountTypeTmpfs:
		shown.Tmpfs = &engine.StepTmpfs{Size: m.SizeLimit}
	case instructions.MountTypeCache:
		err = s.cache(ctx, m, &shown)
	default:
		shown.Passing = true
		err = s.bind(ctx, m, &shown)
	}
	s.mounts = append(s.mounts, shown)
	return err
}

// target is where a mount goes: what is not absolute is below the working directory.
func (s *scene) target(target string) string {
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join("/", s.run.config.WorkingDir, target)
}

// bind shows files of a stage, of an image or of the build context.
func (s *scene) bind(ctx context.Context, m *instructions.Mount, shown *engine.StepMount) (err error) {
	switch m.From {
	case "":
		shown.Source, err = s.build.shows.show(ctx, s.build, path.Join("/", m.Source))
	case "scratch":
		shown.Source, err = s.build.directory()
	default:
		shown.Subpath = path.Join("/", m.Source)
		shown.Image, err = s.run.from(ctx, m.From)
		if err == nil && shown.Image == nil { // a stage that is still nothing
			shown.Source, err = s.build.directory()
		}
	}
	return err
}

// directory makes a directory that goes with the build.
func (b *build) directory() (string, error) { return os.MkdirTemp(b.work.Dir, "") }

// contextFiles are the files of the build context that mounts show: copies, since .dockerignore leaves some out and all are root's there.
type contextFiles struct {
	mu     sync.Mutex
	copies map[string]*contextCopy
}

type contextCopy struct {
	once sync.Once
	path string
	err  error
}

// show is where the copy of a path of the context lies.
func (f *contextFiles) show(ctx context.Context, b *build, path string) (string, error) {
	f.mu.Lock()
	c := f.copies[path]
	if c == nil {
		if f.copies == nil {
			f.copies = map[string]*contextCopy{}
		}
		c = &contextCopy{}
		f.copies[path] = c
	}
	f.mu.Unlock()
	c.once.Do(func() { c.path, c.err = b.copyOut(ctx, &source.Order{From: &b.Context.Tree, Paths: []string{path}}) })
	return c.path, c.err
}

// copyOut copies what an order names into a directory of its own, and returns where it is: a file, or a directory.
func (b *build) copyOut(ctx context.Context, o *source.Order) (string, error) {
	dir, err := b.directory()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, copyName), b.copyInto(ctx, dir, o)
}

// copyName is what a copy is called in its directory.
const copyName = "copy"

func (b *build) copyInto(ctx context.Context, dir string, o *source.Order) error {
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	o.Dest, o.Temp = "/"+copyName, b.work.Dir
	p, err := o.Find(ctx)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(ctx, root), p.Close())
}

// owner is what uid=, gid= and mode= say of a mount.
func owner(m *instructions.Mount, mode os.FileMode) (uid, gid int, _ os.FileMode) {
	if m.UID != nil {
		uid = int(*m.UID)
	}
	if m.GID != nil {
		gid = int(*m.GID)
	}
	if m.Mode != nil {
		mode = unixMode(*m.Mode)
	}
	return uid, gid, mode
}

// unixMode is a mode in Go's words.
func unixMode(mode uint64) os.FileMode {
	m := os.FileMode(mode & 0o777)
	for bit, word := range map[uint64]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&bit != 0 {
			m |= word
		}
	}
	return m
}

func number(n *uint64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(*n, 8)
}
