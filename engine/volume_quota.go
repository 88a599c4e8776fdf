package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"glassbox/store"
	vol "glassbox/volume"

	"github.com/docker/go-units"
)

// storage reads --storage-opt: how much the container may write.
func (c *Containers) storage(r *record) error {
	for key, value := range r.HostConfig.StorageOpt {
		if !strings.EqualFold(key, "size") {
			return invalid("Unknown option %s", key)
		}
		size, err := units.RAMInBytes(value)
		if err != nil {
			return invalid("%w", err)
		}
		r.Size = size
	}
	if r.Size == 0 {
		return nil
	}
	if r.Rootfs != "" {
		return invalid("--storage-opt size limits what a container writes over an image; --rootfs is written itself")
	}
	return unlimited(c.root.Data, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
}

// unlimited refuses a size where the data directory's file system could not hold anybody to it, in Docker's words and with the
// reason and the cure.
func unlimited(data, words string) error {
	if err := os.MkdirAll(data, 0o711); err != nil {
		return err
	}
	err := vol.Limited(data)
	if !errors.Is(err, vol.ErrNoQuota) {
		return err
	}
	return &Error{Class: InvalidParameter, Text: words, Cause: err, Hint: &Hint{Why: err.Error(), Check: "findmnt -T " + data, Fix: vol.Cure(err)}}
}

// firstProject and lastProject: above the project ids that people and other programs hand out, which begin at 1.
const firstProject, lastProject = 1 << 30, 1<<31 - 1

// project finds a project id of nobody's and limits it. owner is a container's id, or a volume's name after a colon.
func (c *Containers) project(owner string, size int64) (uint32, error) {
	for range 64 {
		n := uint32(firstProject + rand.IntN(lastProject-firstProject))
		name := strconv.FormatUint(uint64(n), 10)
		err := c.root.Projects().Claim(name, owner, func(owner string) bool { return c.lostProject(owner, n) })
		var taken *store.Taken
		if errors.As(err, &taken) {
			continue
		}
		if err != nil {
			return 0, err
		}
		free, err := vol.Free(c.root.Data, n)
		if err == nil && free {
			if err = vol.Limit(c.root.Data, n, size); err == nil {
				return n, nil
			}
		}
		if err = errors.Join(err, c.root.Projects().Release(name)); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("no free project id was found for a quota")
}

func (c *Containers) lostProject(owner string, n uint32) bool {
	if name, is := strings.CutPrefix(owner, ":"); is {
		r, err := c.volumes.load(name)
		return Is(err, NotFound) || err == nil && r.Project != n
	}
	return c.lostBy(owner, func(r *record) bool { return r.Project == n })
}

// unproject takes a project's limit away, and gives its id back.
func (c *Containers) unproject(n uint32) error {
	if n == 0 {
		return nil
	}
	err := vol.Limit(c.root.Data, n, 0)
	return errors.Join(err, c.root.Projects().Release(strconv.FormatUint(uint64(n), 10)))
}

// limitUpper limits what the container writes. Both directories are of one project: the overlay renames between them.
func (c *Containers) limitUpper(r *record) (err error) {
	if r.Size == 0 {
		return nil
	}
	if r.Project, err = c.project(r.ID, r.Size); err != nil {
		return err
	}
	return errors.Join(vol.Assign(r.place.Upper(), r.Project), vol.Assign(r.place.Work(), r.Project))
}

// limited finds a project for a volume that is to be made, if it has a size.
func (v *Volumes) limited(r *volumeRecord) (err error) {
	size := r.options().Size
	if size == 0 {
		return nil
	}
	var known *Error
	if err := unlimited(v.root.Data, "quota size requested but no quota support"); errors.As(err, &known) {
		return known
	} else if err != nil {
		return fmt.Errorf("limiting volume %s: %w", r.Name, err)
	}
	r.Project, err = v.containers.project(":"+r.Name, size)
	return err
}

// assign gives a directory of the volume to its project.
func (v *Volumes) assign(r *volumeRecord, dir string) error {
	if r.Project == 0 {
		return nil
	}
	return vol.Assign(dir, r.Project)
}
