package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/archive"
	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
)

const noFlag = "no flag of run does this: the engine leaves the requests out for experiments only"

// out leaves a mechanism out that has no flag.
func out(name string, change func(*container.HostConfig)) func(*stage, *engine.Options) {
	return func(_ *stage, o *engine.Options) {
		o.Without = name
		if change != nil {
			change(o.HostConfig)
		}
	}
}

const climbs = "it can climb out as the probe of pivot_root does, and then write to every file of the real host"

// files are the experiments about what a container sees of files.
func files() []Experiment {
	return []Experiment{
		{
			Mechanism: named("mount"), Seen: "what is mounted for the container is mounted on the host, and stays", Danger: climbs,
			Probe:   []string{"mkdir /inside && mount -t tmpfs none /inside && echo mounted"},
			whole:   setting{flags: adminFlags, apply: host(admin)},
			without: setting{flags: adminFlags, apply: out("mount", admin), note: noFlag},
			look:    (*stage).mounted,
		},
		{
			Mechanism: named("propagation"), Seen: "what the container mounts appears on the host, and stays", Danger: climbs,
			Probe:   []string{"mkdir /inside && mount -t tmpfs none /inside && echo mounted"},
			whole:   setting{flags: adminFlags, apply: host(admin)},
			without: setting{flags: adminFlags, apply: out("propagation", admin), note: noFlag + "; with shared mounts pivot_root would refuse (EINVAL), so chroot takes its place"},
			look:    (*stage).mounted,
		},
		{
			Mechanism: named("overlay"), Seen: "a container finds what another one wrote into their image",
			Probe:   []string{"cat /note", "echo 'an earlier container was here' >/note"},
			twice:   true,
			prepare: (*stage).copyImage,
			without: setting{flags: "--rootfs " + stageDir + "/image", apply: func(s *stage, o *engine.Options) {
				o.Rootfs, o.Config.Image = s.imageCopy(), ""
				o.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
			}, note: "a copy of the image's files, so that the image itself stays as it is"},
			look: func(s *stage) []string {
				if _, err := os.Stat(s.imageCopy() + "/note"); err == nil {
					return []string{"the image's own directory: has a file note now"}
				}
				return []string{"the image's own directory: as it was"}
			},
		},
		{
			Mechanism: named("proc-mount"), Seen: "ps in the container lists the host's processes",
			Probe:   []string{"ps -o pid,args", "echo this shell is process $$"},
			prepare: (*stage).employ,
			without: setting{flags: "-v /proc:/proc", apply: host(func(h *container.HostConfig) { h.Binds = []string{"/proc:/proc"} })},
		},
		{
			Mechanism: named("pivot_root"), Seen: "a program in the container climbs out, and reads a file of the host", Danger: "it can write to every file of the real host",
			Probe: []string{"breakout ls -d " + stageDir + "/of-the-host", "breakout cat " + stageDir + "/of-the-host"},
			prepare: func(s *stage) error {
				return os.WriteFile(s.dir()+"/of-the-host", []byte("only the host has this file\n"), 0o644)
			},
			without: setting{apply: out("pivot_root", nil), note: noFlag + "; chroot takes its place"},
		},
		{
			Mechanism: named("mask"), Seen: "the container reads the host's keys and interrupts, and may write to /proc/sysrq-trigger", Danger: "one write to /proc/sysrq-trigger reboots the real host",
			Probe: []string{
				"grep -c . /proc/interrupts /proc/keys", "ls /sys/firmware | wc -l", "test -w /proc/sysrq-trigger && echo it can be written to",
				"test -w /proc/sys/vm/swappiness && echo it can be written to",
			},
			without: setting{flags: "--security-opt systempaths=unconfined", apply: host(func(h *container.HostConfig) {
				h.SecurityOpt = append(h.SecurityOpt, "systempaths=unconfined")
			})},
		},
	}
}

// imageCopy is what a container without an overlay writes into.
func (s *stage) imageCopy() string { return s.dir() + "/image" }

// copyImage writes out the files of the image.
func (s *stage) copyImage() error {
	ctx := context.Background()
	created, err := s.Containers.Create(ctx, engine.Options{Config: &container.Config{Image: s.Image, Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"}})
	if err != nil {
		return err
	}
	tree, err := s.Containers.Export(ctx, created.ID)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := os.Mkdir(s.imageCopy(), 0o755); err != nil {
		return err
	}
	dir, err := os.Open(s.imageCopy())
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = archive.Unpack(ctx, tree, dir)
	return errors.Join(err, s.Containers.Remove(ctx, created.ID, true, true))
}

// mounts are where something is mounted, with its kind: proc_pid_mountinfo(5).
func mounts() []string {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	var list []string
	for line := range strings.Lines(string(data)) {
		left, right, ok := strings.Cut(line, " - ")
		at := strings.Fields(left)
		if kind, _, _ := strings.Cut(right, " "); ok && len(at) > 4 {
			list = append(list, kind+" on "+at[4])
		}
	}
	return list
}

// mounted tells what is mounted now that was not when the stage was set. The kernel lists mounts in the order in which they were made.
func (s *stage) mounted() []string {
	more := mounts()
	for _, before := range s.mounts {
		if i := slices.Index(more, before); i >= 0 {
			more = slices.Delete(more, i, i+1)
		}
	}
	if len(more) == 0 {
		return []string{"mounts that the host has more than before: none"}
	}
	list := []string{fmt.Sprintf("mounts that the host has more than before, although no container runs: %d", len(more))}
	for _, m := range more {
		kind, at, _ := strings.Cut(m, " on ")
		if _, below, ok := strings.Cut(at, "/rootfs"); ok {
			at = filepath.Join("<the container's root>", below)
		}
		list = append(list, "  "+kind+" on "+at)
	}
	return list
}
