package engine

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"glassbox/store"

	"github.com/docker/docker/pkg/namesgenerator"
)

// validName is [a-zA-Z0-9][a-zA-Z0-9_.-]+, without a regular expression to compile at each start.
func validName(name string) bool {
	if len(name) < 2 || !letterOrDigit(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !letterOrDigit(name[i]) && !strings.ContainsRune("_.-", rune(name[i])) {
			return false
		}
	}
	return true
}

func letterOrDigit(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// claimName makes name the container's; an empty one is chosen: adjective_surname, then with a digit, then the short id.
func (c *Containers) claimName(name, id string) (string, error) {
	if name != "" {
		if !validName(strings.TrimPrefix(name, "/")) {
			return "", invalid("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
		}
		name = strings.TrimPrefix(name, "/")
		return name, c.claim(name, id)
	}
	for retry := range 6 {
		name = namesgenerator.GetRandomName(retry)
		if err := c.claim(name, id); !Is(err, Conflict) {
			return name, err
		}
	}
	return id[:12], c.claim(id[:12], id)
}

func (c *Containers) claim(name, id string) error {
	err := c.root.Names().Claim(name, id, func(owner string) bool { return c.lost(owner, name) })
	var taken *store.Taken
	if errors.As(err, &taken) {
		return conflict("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/"+name, taken.Owner)
	}
	return err
}

// lost reports whether owner has no right to name any longer: it is gone, was never finished, or has another name.
func (c *Containers) lost(owner, name string) bool {
	return c.lostBy(owner, func(r *record) bool { return r.Name == name })
}

// lostBy asks for the lock before the document: whoever makes, renames or removes a container holds its lock, and the document
// is final once that is given back. Read first, it could have been written between the two looks.
func (c *Containers) lostBy(owner string, has func(*record) bool) bool {
	p := c.root.Container(owner)
	if held, err := store.Held(p.Dir); err != nil || held {
		return false
	}
	r, err := c.read(owner)
	if err == nil {
		return !has(r)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false // damaged, but it exists
	}
	_, err = os.Lstat(p.Document() + ".corrupt")
	return err != nil
}
