package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"glassbox/cgroups"
	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// Created is what Create made.
type Created struct {
	ID       string
	Warnings []string
}

// Create makes a container of an image, or of a plain directory, and starts nothing.
func (c *Containers) Create(ctx context.Context, o Options) (Created, error) {
	r, warnings, err := c.prepare(ctx, &o)
	if err != nil {
		return Created{Warnings: warnings}, err
	}
	if err := c.establish(r, o.Name); err != nil {
		return Created{Warnings: warnings}, err
	}
	c.tell(r, "create")
	return Created{ID: r.ID, Warnings: warnings}, nil
}

// prepare puts the record together, and leaves the disk as it is but for a pulled image.
func (c *Containers) prepare(ctx context.Context, o *Options) (*record, []string, error) {
	if o.Config == nil {
		return nil, nil, invalid("config cannot be empty in order to create a container")
	}
	if o.HostConfig == nil {
		o.HostConfig = &container.HostConfig{}
	}
	warnings, err := c.validate(o)
	if err == nil && o.Rootfs == "" {
		err = c.refuseGround()
	}
	if err != nil {
		return nil, warnings, err
	}
	r := &record{
		Created: time.Now().UTC(), Config: o.Config, HostConfig: o.HostConfig,
		TimeOffset: o.TimeOffset, Cgroup: o.Cgroup, Explain: o.Explain, Without: o.Without,
	}
	mismatch, err := c.base(ctx, r, o)
	if err != nil {
		return nil, warnings, err
	}
	if mismatch != "" {
		warnings = append(warnings, mismatch)
	}
	if err := r.command(); err != nil {
		return nil, warnings, err
	}
	if err := r.checkWorkingDir(); err != nil {
		return nil, warnings, err
	}
	if r.Mounts, err = c.mountPoints(r); err != nil {
		return nil, warnings, err
	}
	if err := c.storage(r); err != nil {
		return nil, warnings, err
	}
	if r.HostConfig.Init != nil && *r.HostConfig.Init {
		if r.Init, err = glassrun(); err != nil {
			return nil, warnings, err
		}
	}
	if len(r.Config.ExposedPorts) == 0 {
		r.Config.ExposedPorts = nil // inspect shows null
	}
	if err := c.ask(r, o); err != nil {
		return nil, warnings, err
	}
	if r.Links, err = c.links(o.HostConfig); err != nil {
		return nil, warnings, err
	}
	r.ID = store.NewID()
	r.place = c.root.Container(r.ID)
	if err := c.host(r); err != nil {
		return nil, warnings, err
	}
	if err := c.mapIDs(r, o); err != nil {
		return nil, warnings, err
	}
	if err := c.pictured(r); err != nil {
		return nil, warnings, err
	}
	if r.showsImages() {
		warnings = append(warnings, "Image mount is an experimental feature")
	}
	return r, warnings, c.refuseLimits(r)
}

// base is what the container's tree is made of: an image's layers or a plain directory.
func (c *Containers) base(ctx context.Context, r *record, o *Options) (warning string, err error) {
	if o.step != nil {
		return "", c.stepBase(r, o.step)
	}
	if o.Rootfs != "" {
		if r.Rootfs, err = filepath.Abs(o.Rootfs); err != nil {
			return "", err
		}
		return "", checkDir(r.Rootfs)
	}
	img, err := c.resolve(ctx, o)
	if err != nil {
		return "", err
	}
	merge(r.Config, img.Config.Config, img.Docker)
	layers, err := c.images.Layers(img)
	if err != nil {
		return "", err
	}
	scaffold, err := c.initLayer()
	if err != nil {
		return "", err
	}
	r.Image, r.Lower = img.ID, append(slices.Clip(layers.Lower), scaffold)
	return foreign(img, o.Platform), nil
}

func checkDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	if err != nil {
		return invalid("--rootfs: %w", err)
	}
	return nil
}

func foreign(img *image.Image, asked string) string {
	theirs := img.Config.OS + "/" + img.Config.Architecture
	if ours := "linux/" + runtime.GOARCH; asked == "" && theirs != ours {
		return fmt.Sprintf("The requested image's platform (%s) does not match the detected host platform (%s) and no specific platform was requested", theirs, ours)
	}
	return ""
}

// command puts entrypoint and command together.
func (r *record) command() error {
	k := r.Config
	if len(k.Entrypoint) == 1 && k.Entrypoint[0] == "" {
		k.Entrypoint = nil
	}
	all := append(append([]string{}, k.Entrypoint...), k.Cmd...)
	if len(all) == 0 {
		return invalid("no command specified")
	}
	r.Path, r.Args = all[0], all[1:]
	return validateConfig(k) // the image's half has not been looked at yet
}

// checkWorkingDir: one that is missing is made at the start.
func (r *record) checkWorkingDir() error {
	dir := r.Config.WorkingDir
	if dir == "" || dir == "/" {
		return nil
	}
	image := tree(r.Lower)
	if r.Rootfs != "" {
		image = tree{r.Rootfs}
	}
	if len(image) == 0 {
		return nil
	}
	if found, err := image.find(dir); err == nil && !found.info.IsDir() {
		return &Error{Text: "Cannot mkdir: " + dir + " is not a directory"}
	}
	return nil
}

// host names the container's machine: its short id, the host, or that of the container whose network it shares.
func (c *Containers) host(r *record) error {
	k := r.Config
	if id := r.HostConfig.NetworkMode.ConnectedContainer(); id != "" {
		other, err := c.load(id)
		if Is(err, NotFound) {
			return nil // the start looks again
		}
		if err != nil {
			return err
		}
		k.Hostname, k.Domainname = other.Config.Hostname, other.Config.Domainname
		return nil
	}
	if k.Hostname == "" {
		k.Hostname = r.short()
		if r.HostConfig.NetworkMode.IsHost() {
			name, err := os.Hostname()
			k.Hostname = name
			return err
		}
	}
	return nil
}

// refuseLimits asks now whether this host could set the limits, rather than leave a container that cannot start.
func (c *Containers) refuseLimits(r *record) error {
	l, err := r.limits()
	if err != nil || l.Memory == nil && l.CPU == nil && l.Pids == nil && l.BlockIO == nil && l.Unified == nil {
		return err
	}
	f, err := c.groups()
	if l.Unified != nil && err == nil {
		f, err = cgroups.Observe(l)
	}
	if err != nil {
		return err
	}
	path, err := f.Path(r.HostConfig.CgroupParent, r.ID)
	if err != nil {
		return invalid("%w", err)
	}
	_, _, err = cgroups.Compile(path, l, f)
	return limitRefused(err)
}

// limitRefused words a limit that this host cannot set.
func limitRefused(err error) error {
	var limit *cgroups.LimitError
	if !errors.As(err, &limit) {
		return err
	}
	return &Error{Class: InvalidParameter, Text: err.Error(), Cause: err, Hint: &Hint{
		Why:   "a limit is a file of cgroup v2, which a group has when the controller is v2's and each group above hands it down; glassbox runs nothing without a limit that was asked for",
		Check: "glassbox doctor cgroups", Fix: limit.Fix, Learn: lessonOf(limit.Controller),
	}}
}

// lessonOf is the lesson about a controller's limits.
func lessonOf(controller string) string {
	switch controller {
	case "memory", "pids":
		return controller + "-limit"
	case "cpu", "cpuset":
		return "cpu-limit"
	}
	return "cgroup-namespace"
}

// establish puts the container on the disk. After an error nothing of it is left.
func (c *Containers) establish(r *record, name string) (err error) {
	lock, err := r.place.Make()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.erase(r, true))
		}
		err = errors.Join(err, lock.Release())
	}()
	if r.Name, err = c.claimName(name, r.ID); err != nil {
		r.Name = ""
		return err
	}
	if err := c.claimRange(r); err != nil {
		return err
	}
	if r.Rootfs == "" {
		if err := r.makeUpper(); err != nil {
			return err
		}
		if err := c.limitUpper(r); err != nil {
			return err
		}
	}
	if err := c.furnish(r); err != nil {
		return err
	}
	if err := c.stage(r); err != nil {
		return err
	}
	if err := r.save(); err != nil {
		return err
	}
	return r.haveLayers()
}

// haveLayers looks at the layers once more, now that whoever removes an image sees this container: the image may have been
// removed since it was found.
func (r *record) haveLayers() error {
	for _, dir := range r.Lower {
		if _, err := os.Lstat(dir); err != nil {
			return fmt.Errorf("the image %s was removed meanwhile: %w", r.Config.Image, err)
		}
	}
	return nil
}

// makeUpper makes what the container writes into. The overlay's root takes the upper directory's mode and owner.
func (r *record) makeUpper() error {
	for dir, mode := range map[string]os.FileMode{r.place.Upper(): 0o755, r.place.Work(): 0o700} {
		if err := os.Mkdir(dir, mode); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil { // whatever the umask took
			return err
		}
		if err := r.give(dir); err != nil {
			return err
		}
	}
	return nil
}
