package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// storageFlags say what is mounted, and where the output goes.
type storageFlags struct {
	volumes, volumesFrom, tmpfs, storageOpts, logOpts opts.ListOpts
	mounts                                            opts.MountOpt
	volumeDriver, logDriver                           string
	shm                                               opts.MemBytes
}

func (s *storageFlags) define(f *pflag.FlagSet) {
	for _, l := range []*opts.ListOpts{&s.volumes, &s.volumesFrom, &s.tmpfs, &s.storageOpts, &s.logOpts} {
		*l = opts.NewListOpts(nil)
	}
	f.StringVar(&s.logDriver, "log-driver", "", "Logging driver for the container")
	f.StringVar(&s.volumeDriver, "volume-driver", "", "Optional volume driver for the container")
	f.Var(&s.logOpts, "log-opt", "Log driver options")
	f.Var(&s.storageOpts, "storage-opt", "Storage driver options for the container")
	f.Var(&s.tmpfs, "tmpfs", "Mount a tmpfs directory")
	f.Var(&s.volumesFrom, "volumes-from", "Mount volumes from the specified container(s)")
	f.VarP(&s.volumes, "volume", "v", "Bind mount a volume")
	f.Var(&s.mounts, "mount", "Attach a filesystem mount to the container")
	f.Var(&s.shm, "shm-size", "Size of /dev/shm")
}

func (s *storageFlags) apply(c *container.Config, h *container.HostConfig) error {
	for _, v := range s.volumes.GetSlice() {
		spec, err := volumeSpec(v)
		if err != nil {
			return err
		}
		switch anonymous := !strings.Contains(spec, ":"); {
		case anonymous && c.Volumes == nil:
			c.Volumes = map[string]struct{}{spec: {}}
		case anonymous:
			c.Volumes[spec] = struct{}{}
		case !slices.Contains(h.Binds, spec):
			h.Binds = append(h.Binds, spec)
		}
	}
	h.Tmpfs = map[string]string{}
	for _, t := range s.tmpfs.GetSlice() {
		dir, options, _ := strings.Cut(t, ":")
		h.Tmpfs[dir] = options
	}
	logOpts := opts.ConvertKVStringsToMap(s.logOpts.GetSlice())
	if s.logDriver == "none" && len(logOpts) > 0 {
		return errors.New("invalid logging opts for driver none")
	}
	h.LogConfig = container.LogConfig{Type: s.logDriver, Config: logOpts}
	h.Mounts, h.ShmSize = s.mounts.Value(), s.shm.Value()
	h.VolumesFrom, h.VolumeDriver = s.volumesFrom.GetSlice(), s.volumeDriver
	for _, o := range s.storageOpts.GetSlice() {
		k, v, ok := strings.Cut(o, "=")
		if !ok {
			return errors.New("invalid storage option")
		}
		if h.StorageOpt == nil {
			h.StorageOpt = map[string]string{}
		}
		h.StorageOpt[k] = v
	}
	return nil
}

// volumeSpec checks [SOURCE:]TARGET[:OPTIONS] and makes ./dir absolute: the engine has another working directory.
func volumeSpec(spec string) (string, error) {
	parts := strings.Split(spec, ":")
	switch {
	case spec == "":
		return "", errors.New("invalid empty volume spec")
	case len(parts) > 3:
		return "", fmt.Errorf("invalid spec: %s: too many colons", spec)
	}
	for _, p := range parts {
		if p == "" {
			return "", fmt.Errorf("invalid spec: %s: empty section between colons", spec)
		}
	}
	if len(parts) > 1 && strings.HasPrefix(parts[0], ".") {
		dir, err := filepath.Abs(parts[0])
		if err != nil {
			return "", err
		}
		parts[0] = dir
	}
	return strings.Join(parts, ":"), nil
}
