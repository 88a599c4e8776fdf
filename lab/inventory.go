package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inventory is what there is on a machine that lessons can add to.
type inventory struct {
	Containers []string // ids
	Networks   []string // ids
	Volumes    []string // names
	Images     []string // ids
	Tags       []string // NAME=ID
	Steps      []string // keys of the build cache
	Caches     []string // keys of cache mounts
	Links      []string // interfaces
	Mounts     []string // places, one for each mount
	Groups     []string // control groups that are nobody's who manages some
	Netns      []string // names, ip-netns(8)
	Host       string   // the name of the machine, as the UTS namespace of the commands has it
}

// take makes the inventory.
func (d *Desk) take() (inv inventory, err error) {
	var wrong error
	for _, list := range []struct {
		to   *[]string
		read func() ([]string, error)
	}{
		{&inv.Containers, d.containers}, {&inv.Networks, d.networks}, {&inv.Volumes, d.root.VolumeNames},
		{&inv.Steps, d.root.Build().StepKeys}, {&inv.Caches, d.root.Build().Mounts},
		{&inv.Mounts, mounts}, {&inv.Groups, groups}, {&inv.Netns, netnsNames},
	} {
		found, wrong := list.read()
		*list.to, err = found, errors.Join(err, wrong)
	}
	inv.Links, wrong = links(inv.Networks)
	err = errors.Join(err, wrong)
	inv.Host, wrong = os.Hostname()
	err = errors.Join(err, wrong)
	images, wrong := d.images()
	for _, i := range images {
		inv.Images = append(inv.Images, i.ID)
		for _, tag := range append(i.RepoTags, i.RepoDigests...) {
			inv.Tags = append(inv.Tags, tag+"="+i.ID)
		}
	}
	if err = errors.Join(err, wrong); err != nil {
		return inv, fmt.Errorf("looking what there is on this machine: %w", err)
	}
	return inv, nil
}

func (d *Desk) containers() (ids []string, err error) {
	list, err := d.engine.Containers.List(true, -1, false, filters.NewArgs())
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// networks are those that somebody has made; the predefined ones belong to glassbox.
func (d *Desk) networks() (ids []string, err error) {
	list, err := d.engine.Networks.List(filters.NewArgs(filters.Arg("type", "custom")))
	for _, n := range list {
		ids = append(ids, n.ID)
	}
	return ids, err
}

func (d *Desk) images() ([]image.Summary, error) {
	return d.engine.ImageSummaries(true, filters.NewArgs())
}

// links are the network interfaces without ours: those of containers and networks come and go with them, and the default bridge stays.
func links(networks []string) (names []string, err error) {
	all, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	ours := map[int]bool{}
	for _, l := range all {
		a := l.Attrs()
		ours[a.Index] = a.Name == "glassbox0" || slices.ContainsFunc(networks, func(id string) bool { return a.Name == "br-"+id[:12] })
	}
	for _, l := range all {
		if a := l.Attrs(); !ours[a.Index] && !(a.MasterIndex != 0 && ours[a.MasterIndex]) {
			names = append(names, a.Name)
		}
	}
	return names, nil
}

// mounts are the places of proc_pid_mountinfo(5), deeper ones later.
func mounts() (places []string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); len(w) > 4 {
			places = append(places, unescaped(w[4]))
		}
	}
	slices.Sort(places)
	return places, err
}

// unescaped turns the octal numbers of blanks and backslashes back.
func unescaped(place string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(place)
}

// hierarchy is where cgroup v2 is mounted; empty: nowhere.
func hierarchy() (place string) {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		if w := strings.Fields(left); len(w) > 4 && strings.HasPrefix(right, "cgroup2 ") && (place == "" || w[4] == "/sys/fs/cgroup") {
			place = w[4]
		}
	}
	return place
}

// groups are the control groups below the root, without those of glassbox and of systemd, whose units come and go.
func groups() (paths []string, err error) {
	top := hierarchy()
	if top == "" {
		return nil, nil
	}
	err = filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV): // it went meanwhile
			return nil
		case err != nil || !e.IsDir() || path == top:
			return err
		}
		ends := []string{".slice", ".scope", ".service", ".mount", ".socket"}
		if strings.HasPrefix(e.Name(), "glassbox") || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(e.Name(), end) }) {
			return fs.SkipDir
		}
		paths = append(paths, strings.TrimPrefix(path, top+"/"))
		return nil
	})
	return paths, err
}

// netnsDir is where ip-netns(8) keeps namespaces by name.
const netnsDir = "/run/netns/"

func netnsNames() (names []string, err error) {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// netnsLinks are named namespaces as the links in /proc name them.
func netnsLinks(names []string) (links []string) {
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(netnsDir+name, &st) == nil {
			links = append(links, "net:["+strconv.FormatUint(st.Ino, 10)+"]")
		}
	}
	return links
}

// added are the entries of now that before does not have, each as often as it was added.
func added(before, now []string) (news []string) {
	count := map[string]int{}
	for _, b := range before {
		count[b]++
	}
	for _, n := range now {
		if count[n]--; count[n] < 0 {
			news = append(news, n)
		}
	}
	return news
}

// removeMade removes what glassbox has made since: containers first, since they hold all else.
func (d *Desk) removeMade(ctx context.Context, before inventory) (removed []string, err error) {
	now, err := d.take()
	if err != nil {
		return nil, err
	}
	did := func(kind, name string, wrong error) {
		if wrong == nil {
			removed = append(removed, kind+" "+name)
		} else if !engine.Is(wrong, engine.NotFound) {
			err = errors.Join(err, fmt.Errorf("removing %s %s: %w", kind, name, wrong))
		}
	}
	for _, id := range added(before.Containers, now.Containers) {
		name := d.containerName(id)
		did("container", name, d.engine.Containers.Remove(ctx, id, true, true))
	}
	for _, id := range added(before.Networks, now.Networks) {
		name := id[:12]
		if n, wrong := d.engine.Networks.Inspect(id); wrong == nil {
			name = n.Name
		}
		did("network", name, d.engine.Networks.Remove(id))
	}
	// Anonymous volumes went with their containers.
	now.Volumes, _ = d.root.VolumeNames()
	for _, name := range added(before.Volumes, now.Volumes) {
		did("volume", name, d.engine.Volumes.Remove(name, true))
	}
	builds := d.root.Build()
	for _, key := range added(before.Steps, now.Steps) {
		did("build step", key[:12], builds.RemoveStep(key))
	}
	for _, key := range added(before.Caches, now.Caches) {
		_, wrong := builds.RemoveMount(key)
		did("cache mount", clipped(key), wrong)
	}
	gone, wrong := d.removeImages(before)
	return append(removed, gone...), errors.Join(err, wrong)
}

func (d *Desk) containerName(id string) string {
	if c, err := d.engine.Containers.Inspect(id, false); err == nil {
		return strings.TrimPrefix(c.Name, "/")
	}
	return id[:12]
}

// removeImages takes new names from images, removes new images, children before their parents, and gives moved names back.
func (d *Desk) removeImages(before inventory) (removed []string, err error) {
	force := image.RemoveOptions{Force: true, PruneChildren: true}
	for round, progress := 0, true; progress && round < 20; round++ {
		progress, err = false, nil
		images, wrong := d.images()
		if wrong != nil {
			return removed, wrong
		}
		for _, i := range images {
			for _, ref := range d.newRefs(i, before) {
				if _, wrong := d.engine.ImageRemove(ref, force); wrong != nil {
					err = errors.Join(err, fmt.Errorf("removing image %s: %w", ref, wrong))
					continue
				}
				removed, progress = append(removed, "image "+ref), true
			}
		}
	}
	images, wrong := d.images()
	err = errors.Join(err, wrong)
	var tags []string
	for _, i := range images {
		for _, tag := range i.RepoTags {
			tags = append(tags, tag+"="+i.ID)
		}
	}
	for _, lost := range added(tags, before.Tags) {
		tag, id, _ := strings.Cut(lost, "=")
		if slices.ContainsFunc(images, func(i image.Summary) bool { return i.ID == id }) && !strings.Contains(tag, "@") {
			err = errors.Join(err, d.engine.Images.Tag(id, tag))
			removed = append(removed, "tag "+tag+" (given back)")
		}
	}
	return removed, err
}

// newRefs are the names that an image has got; or its id, where the image is new and has none.
func (d *Desk) newRefs(i image.Summary, before inventory) (refs []string) {
	all := slices.DeleteFunc(append(slices.Clone(i.RepoTags), i.RepoDigests...), func(ref string) bool { return strings.Contains(ref, "<none>") })
	for _, ref := range all {
		if !contains(before.Tags, ref+"="+i.ID) {
			refs = append(refs, ref)
		}
	}
	if len(all) == 0 && !contains(before.Images, i.ID) {
		refs = append(refs, i.ID)
	}
	return refs
}
