package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
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
	return report, c.sweepClaims()
}

func labelsMatch(f filters.Args, labels map[string]string) bool {
	return f.MatchKVList("label", labels) && !(f.Contains("label!") && f.MatchKVList("label!", labels))
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
	v := values[0]
	if d, err := time.ParseDuration(v); err == nil {
		return time.Now().Add(-d), nil
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		return time.Unix(0, int64(s*float64(time.Second))), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, v, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("failed to parse value as time or duration: %q", v)
}
