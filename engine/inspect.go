package engine

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/storage"
)

// Inspect returns Docker's document.
func (c *Containers) Inspect(id string, size bool) (container.InspectResponse, error) {
	r, err := c.load(id)
	if err != nil {
		return container.InspectResponse{}, err
	}
	s, err := c.state(r)
	if err != nil {
		return container.InspectResponse{}, err
	}
	// Not kept in the document, which is read a thousand times where this is read once.
	r.HostConfig.MaskedPaths, r.HostConfig.ReadonlyPaths = hiddenPaths(r.HostConfig)
	w, err := c.wiringOf(r, s)
	if err != nil {
		return container.InspectResponse{}, err
	}
	settings, err := c.networkSettings(listed{r, s, w})
	if err != nil {
		return container.InspectResponse{}, err
	}
	r.HostConfig.Links = r.shownLinks()
	base := r.inspectBase(s)
	if err := r.inspectSecurity(base, s); err != nil {
		return container.InspectResponse{}, err
	}
	base.State.Health = c.inspectHealth(r, s)
	if size {
		rw, all, err := c.sizes(r)
		if err != nil {
			return container.InspectResponse{}, err
		}
		base.SizeRw, base.SizeRootFs = &rw, &all
	}
	return container.InspectResponse{
		ContainerJSONBase: base, Mounts: r.shownMounts(), Config: r.Config, NetworkSettings: settings,
	}, nil
}

func (r *record) inspectBase(s state) *container.ContainerJSONBase {
	b := &container.ContainerJSONBase{
		ID: r.ID, Created: r.Created.Format(time.RFC3339Nano), Path: r.Path, Args: r.Args, State: s.inspect(), Image: string(r.Image),
		ResolvConfPath: r.place.ResolvConf(), HostnamePath: r.place.Hostname(), HostsPath: r.place.Hosts(),
		LogPath: r.logPath(s), Name: "/" + r.Name, Driver: "overlay2", Platform: "linux", HostConfig: r.HostConfig,
		RestartCount: s.Restarts, GraphDriver: storage.DriverData{Name: "overlay2", Data: r.graph(s)},
	}
	if b.Args == nil {
		b.Args = []string{}
	}
	if r.Rootfs != "" {
		b.Driver, b.GraphDriver.Name = "rootfs", "rootfs"
	}
	return b
}

// inspectSecurity shows the names that the security modules know the container by. Until its first start that of AppArmor is what was
// asked for, as in Docker.
func (r *record) inspectSecurity(b *container.ContainerJSONBase, s state) error {
	sec, err := parseSecurity(r.HostConfig.SecurityOpt)
	if err != nil {
		return err
	}
	b.AppArmorProfile = sec.apparmor
	if !s.StartedAt.IsZero() {
		b.AppArmorProfile = r.profile(sec)
	}
	l, err := r.labels(sec)
	b.ProcessLabel, b.MountLabel = l.process, l.mount
	return err
}

// graph says where the container's tree is. The overlay is mounted nowhere but in the container's own mount namespace:
// while it runs, /proc shows it.
func (r *record) graph(s state) map[string]string {
	merged := r.place.Mount()
	if s.Running && !s.Restarting {
		merged = "/proc/" + strconv.Itoa(s.Pid) + "/root"
	}
	if r.Rootfs != "" {
		return map[string]string{"RootDir": r.Rootfs, "MergedDir": merged}
	}
	graph := map[string]string{
		"ID": r.ID, "LowerDir": strings.Join(r.Lower, ":"), "UpperDir": r.place.Upper(), "WorkDir": r.place.Work(), "MergedDir": merged,
	}
	if len(r.IDMap) > 0 {
		graph["IDMap"] = r.idMap()
	}
	return graph
}

// idMap is the user namespace's map, as --userns takes it: ids inside, on the host, and how many.
func (r *record) idMap() string {
	var maps []string
	for _, m := range r.IDMap {
		maps = append(maps, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
	}
	return strings.Join(maps, ",")
}

func (s state) inspect() *container.State {
	out := &container.State{
		Status: s.word(), Running: s.Running, Paused: s.Paused, Restarting: s.Restarting, OOMKilled: s.OOMKilled, ExitCode: s.ExitCode, Error: s.Error,
		StartedAt: s.StartedAt.Format(time.RFC3339Nano), FinishedAt: s.FinishedAt.Format(time.RFC3339Nano),
	}
	if s.Running {
		out.Pid = s.Pid
	}
	return out
}

// sizes are what the container wrote, and that with its image.
func (c *Containers) sizes(r *record) (rw, all int64, err error) {
	if r.Rootfs != "" {
		rw, err = diskUse(r.Rootfs)
		return rw, rw, err
	}
	if rw, err = diskUse(r.place.Upper()); err != nil {
		return 0, 0, err
	}
	if img, err := c.images.Resolve(string(r.Image)); err == nil {
		return rw, rw + img.Size, nil
	}
	return rw, rw, nil // the image is gone; its layers are of unknown size
}

// diskUse adds up the sizes of all files but directories, as Docker does, each file once however many names it has. What vanishes meanwhile does not count.
func diskUse(dir string) (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		if st := info.Sys().(*syscall.Stat_t); st.Nlink > 1 {
			if seen[st.Ino] {
				return nil
			}
			seen[st.Ino] = true
		}
		total += info.Size()
		return nil
	})
	return total, err
}
