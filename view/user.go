package view

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Users are a user namespace's maps, user_namespaces(7).
type Users struct {
	UIDs []Range `json:"uid_map"`
	GIDs []Range `json:"gid_map"`
	All  bool    `json:"as_on_the_host"` // each user has one number inside and outside
	Mark string  `json:"mark,omitempty"`
}

// Range is a line of a map: Size ids from Inside are those from Outside, as the process that looks numbers them.
type Range struct {
	Inside  int64 `json:"inside"`
	Outside int64 `json:"outside"`
	Size    int64 `json:"size"`
}

func (v *View) users() error {
	uids, err := v.init.read("uid_map")
	if err != nil {
		return err
	}
	gids, err := v.init.read("gid_map")
	if err != nil {
		return err
	}
	u := &v.Users
	u.UIDs, u.GIDs = ranges(uids), ranges(gids)
	mine, err := v.host.read("uid_map")
	if err != nil {
		return err
	}
	outer := ranges(mine)
	u.All = len(u.UIDs) == 1 && len(outer) == 1 && u.UIDs[0].Inside == u.UIDs[0].Outside && u.UIDs[0].Size == outer[0].Size
	l := v.sight.Spec.Linux
	if len(l.UIDMappings) > 0 && (!mapped(u.UIDs, l.UIDMappings) || !mapped(u.GIDs, l.GIDMappings)) {
		u.Mark = v.differs("users", "ids", written(u.UIDs), "asked %s", written(asRanges(l.UIDMappings)))
	}
	return nil
}

func ranges(text string) []Range {
	all := []Range{}
	for line := range strings.Lines(text) {
		var r Range
		if _, err := fmt.Sscan(line, &r.Inside, &r.Outside, &r.Size); err == nil {
			all = append(all, r)
		}
	}
	return all
}

func asRanges(maps []specs.LinuxIDMapping) []Range {
	var all []Range
	for _, m := range maps {
		all = append(all, Range{int64(m.ContainerID), int64(m.HostID), int64(m.Size)})
	}
	return all
}

func mapped(is []Range, asked []specs.LinuxIDMapping) bool {
	return written(is) == written(asRanges(asked))
}

// written is "0 is 100000 (65536 ids)".
func written(all []Range) string {
	var parts []string
	for _, r := range all {
		parts = append(parts, fmt.Sprintf("%d is %d (%d ids)", r.Inside, r.Outside, r.Size))
	}
	return strings.Join(parts, ", ")
}

// inside is the number that an id of the host has inside; -1: none.
func inside(maps []Range, id int) int {
	for _, r := range maps {
		if n := int64(id) - r.Outside; n >= 0 && n < r.Size {
			return int(r.Inside + n)
		}
	}
	return -1
}
