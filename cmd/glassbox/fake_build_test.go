package main

import (
	"context"
	"errors"

	"glassbox/dockerfile"
	"glassbox/engine"
	"glassbox/progress"

	buildtypes "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
)

// fakeBuilds keeps one cache mount of 4 kB, and builds nothing: that is tried on the real engine.
type fakeBuilds struct{}

func (fakeBuilds) Begin() (*engine.Work, error) { return nil, errors.New("the fake does not build") }

func (fakeBuilds) Build(ctx context.Context, o dockerfile.Options, w progress.Watcher) (progress.Result, error) {
	return progress.Result{}, errors.New("the fake does not build")
}

func (fakeBuilds) Usage(f filters.Args) ([]*buildtypes.CacheRecord, error) {
	return []*buildtypes.CacheRecord{{ID: "cache1", Type: "exec.cachemount", Size: 4000}}, nil
}

func (fakeBuilds) Prune(o buildtypes.CachePruneOptions) (buildtypes.CachePruneReport, error) {
	return buildtypes.CachePruneReport{CachesDeleted: []string{"cache1"}, SpaceReclaimed: 4000}, nil
}
