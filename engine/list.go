package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// listed is a container with its state, and its wiring if it runs with one.
type listed struct {
	*record
	now    state
	wiring *wiring
}

// List is `ps`: newest first. With size, SizeRw and SizeRootFs are filled in.
func (c *Containers) List(all bool, limit int, size bool, f filters.Args) ([]container.Summary, error) {
	sieve, err := c.sieve(f)
	if err != nil {
		return nil, err
	}
	containers, err := c.everything()
	if err != nil {
		return nil, err
	}
	if err := sieve.neighbours(c); err != nil {
		return nil, err
	}
	names, links := imageNames{store: c.images, ids: map[string]string{}}, linkNames(containers)
	out := []container.Summary{}
	for _, l := range containers {
		if limit > 0 && len(out) == limit {
			break
		}
		if !l.now.Running && !all && limit <= 0 && !sieve.byStatus {
			continue
		}
		if sieve.passes(l) {
			s := l.summary(names)
			s.Names = slices.Sorted(slices.Values(append(s.Names, links[l.ID]...)))
			if size {
				if s.SizeRw, s.SizeRootFs, err = c.sizes(l.record); err != nil {
					return nil, err
				}
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// linkNames are the names that containers have in others' links: /parent/alias.
func linkNames(all []listed) map[string][]string {
	names := map[string][]string{}
	for _, parent := range all {
		for _, l := range parent.Links {
			names[l.ID] = append(names[l.ID], "/"+parent.Name+"/"+l.Alias)
		}
	}
	return names
}

// everything reads all containers, several at a time, newest first. What cannot be read is warned of and left out.
func (c *Containers) everything() ([]listed, error) {
	ids, err := c.root.IDs()
	if err != nil {
		return nil, err
	}
	found := make([]listed, len(ids))
	var next atomic.Int64
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range min(len(ids), 2*runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
				l, err := c.one(ids[i])
				if err != nil {
					mu.Lock()
					c.warn(err.Error())
					mu.Unlock()
				}
				found[i] = l
			}
		})
	}
	workers.Wait()
	found = slices.DeleteFunc(found, func(l listed) bool { return l.record == nil })
	slices.SortFunc(found, func(a, b listed) int { return b.Created.Compare(a.Created) })
	return found, nil
}

func (c *Containers) one(id string) (listed, error) {
	r, err := c.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return listed{}, c.root.Container(id).Sweep()
	}
	var damaged *store.Corrupt
	if errors.As(err, &damaged) {
		return listed{}, fmt.Errorf("container %s: %w; `rm -f %s` removes what is left of it", id[:12], err, id[:12])
	}
	if err != nil {
		return listed{}, err
	}
	s, err := c.state(r)
	if err == nil && s.Status == "" {
		// Never started, or removed while we were reading.
		if _, err := os.Lstat(r.place.Document()); err != nil {
			return listed{}, nil
		}
	}
	if err != nil {
		return listed{r, s, nil}, err
	}
	w, err := c.wiringOf(r, s)
	return listed{r, s, w}, err
}

// imageNames looks up what users call images, each name once.
type imageNames struct {
	store *image.Store
	ids   map[string]string
}

func (n imageNames) id(name string) string {
	id, known := n.ids[name]
	if !known {
		if img, err := n.store.Resolve(name); err == nil {
			id = string(img.ID)
		}
		n.ids[name] = id
	}
	return id
}

func (l listed) summary(names imageNames) container.Summary {
	s := container.Summary{
		ID: l.ID, Names: []string{"/" + l.Name}, Image: l.Config.Image, ImageID: string(l.Image), Command: l.commandLine(),
		Created: l.Created.Unix(), Ports: l.ports(), Labels: l.Config.Labels, State: l.now.word(), Status: l.now.sentence(time.Now()),
		Mounts:          l.shownMounts(),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: l.shortNetworks()},
	}
	s.HostConfig.NetworkMode = string(l.HostConfig.NetworkMode)
	s.HostConfig.Annotations = l.HostConfig.Annotations
	if l.Rootfs != "" {
		s.Image = l.Rootfs
	} else if s.Image != s.ImageID && names.id(s.Image) != s.ImageID {
		s.Image = s.ImageID // the name has moved on to another image, or is gone
	}
	return s
}

// commandLine is the COMMAND column, before it is quoted and cut.
func (r *record) commandLine() string {
	words := []string{r.Path}
	for _, a := range r.Args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

func (r *record) shownMounts() []container.MountPoint {
	out := []container.MountPoint{}
	for _, m := range r.Mounts {
		out = append(out, m.MountPoint)
	}
	return out
}
