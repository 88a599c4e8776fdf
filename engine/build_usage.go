package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/store"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/opencontainers/go-digest"
)

// What a record of the build cache is, in BuildKit's words.
const (
	cachedStep  = "regular"         // the note of which image a step gave
	cachedMount = "exec.cachemount" // the directory of RUN --mount=type=cache
)

// cached is one record, and how to find what it is of.
type cached struct {
	build.CacheRecord
	key string
}

// used is when it was last of use.
func (c *cached) used() time.Time {
	if c.LastUsedAt != nil {
		return *c.LastUsedAt
	}
	return c.CreatedAt
}

// stepRecord is what we read of a step's note.
type stepRecord struct {
	Image  digest.Digest `json:"image"`
	Parent digest.Digest `json:"parent"`
	Text   string        `json:"text"`
	Made   time.Time     `json:"made"`
	Size   int64         `json:"size"`
}

// Usage lists the build cache: the notes of steps, whose bytes are those of images, and cache mounts, which have their own.
func (b *Builds) Usage(f filters.Args) ([]*build.CacheRecord, error) {
	omit, err := cacheFilter(f)
	if err != nil {
		return nil, err
	}
	all, err := b.all()
	records := []*build.CacheRecord{}
	for i := range all {
		if !omit(all[i]) {
			records = append(records, &all[i].CacheRecord)
		}
	}
	return records, err
}

// all are the records of what is of use: the note of a step whose image has been removed is not.
func (b *Builds) all() ([]cached, error) {
	steps, _, err := b.steps()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(steps, func(a, b cached) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.key, b.key)) })
	mounts, err := b.mounts()
	return append(steps, mounts...), err
}

// steps are the notes of steps, and those of whose image nothing is left.
func (b *Builds) steps() (all, dead []cached, err error) {
	notes, err := b.root.Build().StepKeys()
	if err != nil {
		return nil, nil, err
	}
	here, err := b.containers.images.IDs()
	if err != nil {
		return nil, nil, err
	}
	gave, parents := map[digest.Digest]string{}, map[string]digest.Digest{}
	for _, key := range notes {
		var r stepRecord
		switch err := store.Read(b.root.Build().Step(key), &r); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, nil, err
		}
		c := cached{key: key, CacheRecord: build.CacheRecord{
			ID: cacheID(key), Type: cachedStep, Description: r.Text, Shared: true, Size: r.Size, CreatedAt: r.Made,
		}}
		if !here[r.Image] {
			dead = append(dead, c)
			continue
		}
		gave[r.Image], parents[key] = c.ID, r.Parent
		all = append(all, c)
	}
	for i := range all {
		if parent := gave[parents[all[i].key]]; parent != "" {
			all[i].Parents = []string{parent}
		}
	}
	return all, dead, nil
}

// cacheID is a key as long as BuildKit's ids.
func cacheID(key string) string { return key[:min(25, len(key))] }

func (b *Builds) mounts() (all []cached, err error) {
	records, err := b.caches()
	for key, r := range records {
		size, e := diskUse(b.root.Build().Mount(key))
		busy, e2 := b.root.Build().MountInUse(key)
		if e = errors.Join(e, e2); errors.Is(e, fs.ErrNotExist) {
			continue // it was pruned just now
		} else if e != nil {
			err = errors.Join(err, e)
			continue
		}
		id := cacheID(key)
		if _, variant, is := strings.Cut(key, "-"); is {
			id = id[:len(id)-len(variant)-1] + "-" + variant
		}
		all = append(all, cached{key: key, CacheRecord: build.CacheRecord{
			ID: id, Type: cachedMount, Description: "cached mount " + r.ID, InUse: busy, Size: size,
			CreatedAt: r.Created, LastUsedAt: &r.Used, UsageCount: r.Uses,
		}})
	}
	slices.SortFunc(all, func(a, b cached) int { return strings.Compare(a.key, b.key) })
	return all, err
}

// Prune deletes of the build cache what is no image's: the cache mounts that nobody has, and notes of steps whose images are gone; with All, every
// note, after which the next build carries everything out again. Images stay: `image prune` is for those.
func (b *Builds) Prune(o build.CachePruneOptions) (build.CachePruneReport, error) {
	var report build.CachePruneReport
	keep, err := cacheFilter(o.Filters)
	if err != nil {
		return report, prefixed("failed to prune build cache", err)
	}
	if err := b.sweep(); err != nil {
		return report, err
	}
	steps, dead, err := b.steps()
	if err != nil {
		return report, err
	}
	mounts, err := b.mounts()
	if err != nil {
		return report, err
	}
	doomed := append(dead, mounts...)
	if o.All {
		doomed = append(doomed, steps...)
	}
	slices.SortStableFunc(doomed, func(a, b cached) int { return cmp.Or(a.used().Compare(b.used()), strings.Compare(a.key, b.key)) })
	var space int64
	for _, c := range mounts {
		space += c.Size
	}
	reserved := max(o.ReservedSpace, o.KeepStorage) //nolint:staticcheck // older clients say it so
	for _, c := range doomed {
		if c.InUse || keep(c) || c.Type == cachedMount && space-c.Size < reserved && reserved > 0 {
			continue
		}
		removed, err := b.remove(c)
		if err != nil {
			return report, err
		}
		if !removed {
			continue
		}
		report.CachesDeleted = append(report.CachesDeleted, c.ID)
		if c.Type == cachedMount {
			space -= c.Size
			report.SpaceReclaimed += uint64(c.Size)
		}
	}
	if o.All && o.Filters.Len() == 0 {
		err = b.root.Build().ForgetBuilds()
	}
	return report, err
}

func (b *Builds) remove(c cached) (bool, error) {
	if c.Type == cachedMount {
		return b.root.Build().RemoveMount(c.key)
	}
	return true, b.root.Build().RemoveStep(c.key)
}

// cacheFilter says what filters leave out. Labels, which nothing of the cache has, keep all.
func cacheFilter(f filters.Args) (func(cached) bool, error) {
	known := map[string]bool{
		"until": true, "unused-for": true, "id": true, "parent": true, "type": true, "description": true, "inuse": true, "shared": true, "private": true,
		"label": true, "label!": true,
	}
	if err := f.Validate(known); err != nil {
		return nil, invalid("%w", err)
	}
	age, err := cacheAge(f)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range []string{"inuse", "shared", "private"} {
		if f.Contains(name) {
			if wanted[name], err = f.GetBoolOrDefault(name, true); err != nil {
				return nil, invalid("%w", err)
			}
		}
	}
	return func(c cached) bool {
		for name, is := range map[string]bool{"inuse": c.InUse, "shared": c.Shared, "private": !c.Shared} {
			if want, given := wanted[name]; given && want != is {
				return true
			}
		}
		return f.Contains("label") || f.Contains("label!") || age > 0 && time.Since(c.used()) < age ||
			f.Contains("id") && !slices.ContainsFunc(f.Get("id"), func(id string) bool { return strings.Contains(c.ID, id) }) ||
			f.Contains("parent") && !slices.ContainsFunc(f.Get("parent"), func(id string) bool { return slices.Contains(c.Parents, id) }) ||
			!f.ExactMatch("type", c.Type) || !f.ExactMatch("description", c.Description)
	}, nil
}

// cacheAge is how long something must not have been used.
func cacheAge(f filters.Args) (time.Duration, error) {
	values, unused := f.Get("until"), f.Get("unused-for")
	name := "until"
	if len(unused) > 0 {
		name = "unused-for"
	}
	switch {
	case len(values) > 0 && len(unused) > 0:
		return 0, invalid(`conflicting filters "until" and "unused-for"`)
	case len(values)+len(unused) == 0:
		return 0, nil
	case len(values)+len(unused) > 1:
		return 0, invalid("filters expect only one value")
	}
	value := append(values, unused...)[0]
	age, err := time.ParseDuration(value)
	if err != nil {
		at, e := pruneUntil(filters.NewArgs(filters.Arg("until", value)))
		if e != nil {
			return 0, invalid("%s filter expects a duration (e.g., '24h'): %w", strconv.Quote(name), err)
		}
		age = time.Since(at)
	}
	return age, nil
}

// builds are works of builds whose processes have died, and halves of cache mounts.
func (k *check) works() error {
	place := k.c.root.Build()
	works, err := place.Works()
	if err != nil {
		return err
	}
	for _, name := range works {
		if lives, err := place.Lives(name); err != nil || lives {
			continue
		}
		k.suspect(filepath.Join("build", name), "the build was killed and has left its files in "+place.Work(name), "removed", func() error {
			gone, err := k.builds.sweepOne(name)
			if err == nil && !gone {
				err = errNotSo
			}
			return err
		})
	}
	keys, err := place.Mounts()
	for _, key := range keys {
		if _, e := os.Lstat(place.MountDocument(key)); !errors.Is(e, fs.ErrNotExist) {
			continue
		}
		if busy, e := place.MountInUse(key); e != nil || busy {
			continue
		}
		k.suspect("cache mount "+cacheID(key), "a build was killed while it was made or removed", "removed", func() error {
			if _, err := os.Lstat(place.MountDocument(key)); err == nil {
				return errNotSo
			}
			gone, err := place.RemoveMount(key)
			if err == nil && !gone {
				err = errNotSo
			}
			return err
		})
	}
	return err
}
