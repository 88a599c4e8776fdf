package oci

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"text/tabwriter"
	"time"
)

// List finds the containers of the store, by their ids' order. One that cannot be read is told of, and no reason to show none.
func (s Store) List() ([]*Container, error) {
	entries, err := os.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []*Container
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		c, err := s.Container(e.Name())
		switch {
		case errors.Is(err, ErrNotExist) || errors.Is(err, ErrInvalidID): // remains, or nothing of ours
		case err != nil && s.Warn != nil:
			s.Warn(fmt.Errorf("container %s: %w", e.Name(), err))
		case err == nil:
			list = append(list, c)
		}
	}
	return list, err
}

// Entry is the container's state as a list shows it: with the owner's name.
func (c *Container) Entry() State {
	s := c.State()
	s.Owner = "#" + strconv.Itoa(c.record.Owner)
	if u, err := user.LookupId(strconv.Itoa(c.record.Owner)); err == nil {
		s.Owner = u.Username
	}
	return s
}

// Table writes a list for people, as runc does.
func Table(w io.Writer, list []*Container) error {
	t := tabwriter.NewWriter(w, 12, 1, 3, ' ', 0)
	fmt.Fprint(t, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, c := range list {
		e := c.Entry()
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", e.ID, e.Pid, e.Status, e.Bundle, e.Created.Format(time.RFC3339Nano), e.Owner)
	}
	return t.Flush()
}
