// Package oci keeps OCI containers by their ids, between the commands that create, start, look at, signal and delete them: what runc
// does, with runc's words where engines read them.
//
// A container is a directory, ROOT/ID:
//
//	state.json   what `state` prints, and how to find its process and its cgroup again
//	config.json  the bundle's, as it was when the container was created
//	facts.json   what else its plan was compiled from (runtime.Facts)
//	rules.json   what further processes must keep to (runtime.Rules), the seccomp filter compiled
//	start.sock   while it is created: where its process waits for whoever starts it
//	program      while it is created: the program that its process interprets
//
// Nobody stays with a container. What it is doing is seen by looking: a process whose number and start time are those noted is
// alive; it is created while start.sock is there, and running afterwards. Who changes a container holds the directory's lock,
// flock(2); who makes one holds it from the directory's first moment, so a directory without state.json that nobody has locked is what a
// killed command has left.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// Store is a directory of containers.
type Store struct {
	Root     string
	Warn     func(error)  // told what is done without, or failed and changes nothing; nil: nobody is
	Systemd  bool         // cgroupsPath is slice:prefix:name, and systemd makes the group
	Rootless RootlessMode // where no group may be made, containers are in none
}

// The errors that engines know by their text.
var (
	ErrNotExist   = errors.New("container does not exist")
	ErrExists     = errors.New("container with given ID already exists")
	ErrInvalidID  = errors.New("invalid container ID format")
	ErrNotRunning = errors.New("container not running")
)

// errDamaged is a state.json that cannot be read.
var errDamaged = errors.New("the container's state is damaged")

// The files of a container.
const (
	fileState   = "state.json"
	fileConfig  = "config.json"
	fileFacts   = "facts.json"
	fileRules   = "rules.json"
	fileSocket  = "start.sock"
	fileProgram = "program"
)

// Container is one that the store has, as its files tell. Status looks at its process.
type Container struct {
	dir string
	record
}

// patience bounds the wait for another command that holds the container's lock.
const patience = 10 * time.Second

// checkID refuses what is not a file name of letters, digits and _+-.
func checkID(id string) error {
	if id == "" || id == "." || id == ".." || len(id) > 255 {
		return ErrInvalidID
	}
	for _, r := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.", r) {
			return ErrInvalidID
		}
	}
	return nil
}

// Container finds one by its id.
func (s Store) Container(id string) (*Container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	c := &Container{dir: filepath.Join(s.Root, id)}
	return c, c.read()
}

// Locked finds one and keeps other commands from changing it until the lock is given back.
func (s Store) Locked(id string) (*Container, *store.Lock, error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	c := &Container{dir: filepath.Join(s.Root, id)}
	lock, err := lockDir(c.dir)
	if err != nil {
		return nil, nil, err
	}
	if err := c.read(); err != nil {
		lock.Release()
		return nil, nil, err
	}
	return c, lock, nil
}

func lockDir(dir string) (*store.Lock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	lock, err := store.Exclusive(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotExist
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("another command has been at work on container %s for %v", filepath.Base(dir), patience)
	}
	return lock, err
}

// read reads state.json. A container that has none does not exist yet, or no more.
func (c *Container) read() error {
	err := readDocument(c.path(fileState), &c.record)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

func readDocument(path string, v any) error {
	b, err := store.ReadFile(path)
	if err != nil {
		return err
	}
	if err := store.Decode(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (c *Container) path(name string) string { return filepath.Join(c.dir, name) }

// claim makes the directory of a new container and locks it.
func (s Store) claim(id string) (*Container, *store.Lock, error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	c := &Container{dir: filepath.Join(s.Root, id)}
	err := os.Mkdir(c.dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(s.Root, 0o700); err == nil {
			err = os.Mkdir(c.dir, 0o700)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, ErrExists
	}
	if err != nil {
		return nil, nil, err
	}
	lock, err := lockDir(c.dir)
	return c, lock, err
}

// erase removes the directory: state.json first, so that an interrupted removal leaves no container, only remains.
func (c *Container) erase() error {
	for _, name := range []string{fileState, fileConfig, fileFacts, fileRules, fileSocket, fileProgram} {
		unix.Unlink(c.path(name)) //nolint:errcheck // what is still there is seen below
	}
	if unix.Rmdir(c.dir) == nil {
		return nil
	}
	return os.RemoveAll(c.dir)
}
