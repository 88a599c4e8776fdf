package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"glassbox/store"

	"github.com/opencontainers/go-digest"
)

// CacheOptions name a cache mount: what RUN --mount=type=cache keeps from build to build.
type CacheOptions struct {
	ID      string
	From    string // what it is filled with in the beginning: another filling makes another cache
	Sharing string // shared, private, locked; empty: shared
	Fill    func(dir string) error
}

// Cache is a cache mount that a RUN has.
type Cache struct {
	Dir  string
	lock *store.Lock
}

// cacheRecord is its cache.json.
type cacheRecord struct {
	ID      string
	Created time.Time
	Used    time.Time // last
	Uses    int
}

// Cache finds a cache mount, or makes it. A private one that somebody has is passed by for the next of that name.
func (b *Builds) Cache(ctx context.Context, o CacheOptions) (*Cache, error) {
	place := b.root.Build()
	name := digest.FromString(o.ID + "\x00" + o.From).Encoded()[:32]
	how := map[string]store.Sharing{"private": store.Nobody, "locked": store.OneByOne}[o.Sharing]
	for n := 0; ; n++ {
		key := name
		if n > 0 {
			key = fmt.Sprintf("%s-%d", name, n)
		}
		lock, err := place.OpenMount(ctx, key, how, func(dir string) error {
			if err := o.Fill(dir); err != nil {
				return err
			}
			return store.Write(place.MountDocument(key), cacheRecord{ID: o.ID, Created: time.Now().UTC()})
		})
		if err != nil {
			return nil, err
		}
		if lock != nil {
			return &Cache{place.Mount(key), lock}, b.count(key)
		}
	}
}

// count notes that the cache is used once more.
func (b *Builds) count(key string) error {
	document := b.root.Build().MountDocument(key)
	var r cacheRecord
	if err := store.Read(document, &r); err != nil {
		return err
	}
	r.Used, r.Uses = time.Now().UTC(), r.Uses+1
	return store.Write(document, r)
}

// Release lets go of it.
func (c *Cache) Release() error { return c.lock.Release() }

// caches are the cache mounts that there are, by their keys.
func (b *Builds) caches() (map[string]cacheRecord, error) {
	keys, err := b.root.Build().Mounts()
	all := map[string]cacheRecord{}
	for _, key := range keys {
		var r cacheRecord
		switch e := store.Read(b.root.Build().MountDocument(key), &r); {
		case e == nil:
			all[key] = r
		case !errors.Is(e, os.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	return all, err
}
