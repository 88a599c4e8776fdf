package engine

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"glassbox/store"
)

// Unlink is `rm --link`: it takes a link of the default bridge away, by the name PARENT/ALIAS that it gave to the other container.
func (c *Containers) Unlink(ctx context.Context, name string) error {
	parent, alias, is := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !is {
		if _, err := c.load(parent); err != nil {
			return err
		}
		return conflict("Conflict, cannot remove the default link name of the container")
	}
	r, lock, err := c.locked(ctx, parent)
	if err != nil {
		return notFound(name)
	}
	defer lock.Release()
	i := slices.IndexFunc(r.Links, func(l legacyLink) bool { return l.Alias == alias })
	if i < 0 {
		return notFound(name)
	}
	other := c.root.Container(r.Links[i].ID)
	r.Links = slices.Delete(r.Links, i, i+1)
	return errors.Join(r.save(), r.forget(other, alias))
}

// forget takes a link out of what a start has told others of it: the other container, and the names that the running one knows.
func (r *record) forget(other store.Place, alias string) error {
	errs := []error{gone(os.Remove(other.Linked() + "/" + r.ID))}
	data, err := os.ReadFile(r.place.Hosts())
	if err != nil {
		return errors.Join(append(errs, gone(err))...)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if _, names, _ := strings.Cut(line, "\t"); !strings.HasPrefix(names, alias+" ") {
			b.WriteString(line)
		}
	}
	return errors.Join(append(errs, os.WriteFile(r.place.Hosts(), []byte(b.String()), 0o644))...)
}
