package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"glassbox/image"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	timestamp "github.com/docker/docker/api/types/time"
)

// Prune removes stopped containers.
func (c *Containers) Prune(f filters.Args) (container.PruneReport, error) {
	var report container.PruneReport
	if err := f.Validate(map[string]bool{"label": true, "label!": true, "until": true}); err != nil {
		return report, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	until, err := pruneUntil(f)
	if err != nil {
		return report, err
	}
	all, err := c.everything()
	if err != nil {
		return report, err
	}
	for _, l := range all {
		if l.now.Running || !until.IsZero() && l.Created.After(until) || !labelsMatch(f, l.Config.Labels) {
			continue
		}
		size, _, err := c.sizes(l.record)
		if err != nil {
			return report, err
		}
		if err := c.remove(context.Background(), l.ID, false, false); err != nil {
			if !Is(err, NotFound) && !Is(err, Conflict) { // removed or started meanwhile
				c.warn(err.Error())
			}
			continue
		}
		report.SpaceReclaimed += uint64(size)
		report.ContainersDeleted = append(report.ContainersDeleted, l.ID)
	}
	c.tellAll(pruned("container", report.SpaceReclaimed))
	return report, c.sweepClaims()
}

func labelsMatch(f filters.Args, labels map[string]string) bool {
	return f.MatchKVList("label", labels) && !(f.Contains("label!") && f.MatchKVList("label!", labels))
}

// ImagesPrune removes images that nothing needs: those without a name or, with dangling=false, all that no container uses. As moby's
// it takes names away one by one, so that an image goes that is in use under none of them.
func (e *Engine) ImagesPrune(f filters.Args) (dockerimage.PruneReport, error) {
	var report dockerimage.PruneReport
	doomed, err := e.prunable(f)
	if err != nil {
		return report, err
	}
	all, err := e.Images.List()
	if err != nil {
		return report, err
	}
	sizes, err := e.chainSizes(all)
	if err != nil {
		return report, err
	}
	for _, ref := range doomed {
		gone, err := e.ImageRemove(ref, dockerimage.RemoveOptions{PruneChildren: true})
		var conflict *image.Conflict
		var missing *image.NotFound
		if err != nil && !errors.As(err, &conflict) && !errors.As(err, &missing) {
			e.Containers.warn(fmt.Sprintf("failed to prune image %s: %v", ref, err))
		}
		report.ImagesDeleted = append(report.ImagesDeleted, gone...)
	}
	for _, d := range report.ImagesDeleted {
		report.SpaceReclaimed += uint64(sizes[d.Deleted])
	}
	e.Containers.tellAll(pruned("image", report.SpaceReclaimed))
	return report, nil
}

// prunable are the references to remove, or the ids of images that have none.
func (e *Engine) prunable(f filters.Args) ([]string, error) {
	if err := f.Validate(map[string]bool{"dangling": true, "label": true, "label!": true, "until": true}); err != nil {
		return nil, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	dangling, err := f.GetBoolOrDefault("dangling", true)
	if err != nil {
		return nil, invalid("%w", err)
	}
	until, err := pruneUntil(f)
	if err != nil {
		return nil, err
	}
	all, err := e.Images.List()
	if err != nil {
		return nil, err
	}
	heads := image.Heads(all)
	var doomed []string
	for _, img := range all {
		refs := append(slices.Clone(img.Tags), img.Digests...)
		intermediate := !slices.ContainsFunc(heads, func(h *image.Image) bool { return h.ID == img.ID })
		switch {
		case intermediate && (dangling || len(refs) == 0), dangling && len(img.Tags) > 0,
			!until.IsZero() && (img.Config.Created == nil || img.Config.Created.After(until)), !labelsMatch(f, img.Config.Config.Labels):
			continue
		case len(refs) == 0:
			refs = []string{img.ID.Encoded()}
		}
		doomed = append(doomed, refs...)
	}
	return doomed, nil
}

// chainSizes are the layers' sizes by what a removal calls them.
func (e *Engine) chainSizes(all []*image.Image) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, img := range all {
		each, err := e.Images.LayerSizes(img)
		if err != nil {
			return nil, err
		}
		for i, chain := range img.ChainIDs() {
			sizes[string(chain)] = each[i]
		}
	}
	return sizes, nil
}

// pruneUntil reads until=10m (ago), a Unix time, or a date.
func pruneUntil(f filters.Args) (time.Time, error) {
	values := f.Get("until")
	switch {
	case len(values) == 0:
		return time.Time{}, nil
	case len(values) > 1:
		return time.Time{}, invalid("more than one until filter specified")
	}
	stamp, err := timestamp.GetTimestamp(values[0], time.Now())
	if err != nil {
		return time.Time{}, invalid("%w", err)
	}
	s, ns, err := timestamp.ParseTimestamps(stamp, 0)
	if err != nil {
		return time.Time{}, invalid("%w", err)
	}
	return time.Unix(s, ns), nil
}
