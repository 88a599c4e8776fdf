package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// handler says how a kind of object of `uses:` is looked for, removed, and removed by hand.
type handler struct {
	exists func(d *Desk, name string) bool
	remove func(d *Desk, name string) error
	byHand string // the command, with %s for the name
}

// handlers are the kinds, in the order in which they are removed: what holds others comes first.
func handlers() []struct {
	kind string
	handler
} {
	return []struct {
		kind string
		handler
	}{
		{"container", handler{
			func(d *Desk, n string) bool { _, err := d.engine.Containers.Inspect(n, false); return err == nil },
			func(d *Desk, n string) error { return d.engine.Containers.Remove(context.Background(), n, true, true) }, "glassbox rm -f -v %s",
		}},
		{"network", handler{
			func(d *Desk, n string) bool { _, err := d.engine.Networks.Inspect(n); return err == nil },
			func(d *Desk, n string) error { return d.engine.Networks.Remove(n) }, "glassbox network rm %s",
		}},
		{"volume", handler{
			func(d *Desk, n string) bool { _, err := d.engine.Volumes.Inspect(n); return err == nil },
			func(d *Desk, n string) error { return d.engine.Volumes.Remove(n, true) }, "glassbox volume rm %s",
		}},
		{"image", handler{
			func(d *Desk, n string) bool { _, err := d.engine.ImageInspect(n); return err == nil },
			func(d *Desk, n string) error {
				_, err := d.engine.ImageRemove(n, image.RemoveOptions{Force: true})
				return err
			}, "glassbox rmi %s",
		}},
		{"cgroup", handler{
			func(_ *Desk, n string) bool { return hierarchy() != "" && isThere(hierarchy()+"/"+n) },
			func(d *Desk, n string) error { return removeGroup(hierarchy()+"/"+n, d.refuge) }, "rmdir " + hierarchy() + "/%s",
		}},
		{"netns", handler{
			func(_ *Desk, n string) bool { return isThere(netnsDir + n) },
			func(_ *Desk, n string) error { return errors.Join(unmount(netnsDir+n), os.Remove(netnsDir+n)) }, "ip netns delete %s",
		}},
		{"link", handler{
			func(_ *Desk, n string) bool { _, err := netlink.LinkByName(n); return err == nil },
			func(_ *Desk, n string) error {
				link, err := netlink.LinkByName(n)
				if err != nil {
					return err
				}
				return netlink.LinkDel(link)
			}, "ip link delete %s",
		}},
		{"table", handler{
			func(_ *Desk, n string) bool { t, _ := findTable(n); return t != nil },
			func(_ *Desk, n string) error { return removeTable(n) }, "nft delete table %s",
		}},
		{"mount", handler{
			func(_ *Desk, n string) bool { return slices.Contains(mustMounts(), n) },
			func(_ *Desk, n string) error { return unmount(n) }, "umount -l %s",
		}},
		{"file", handler{
			func(_ *Desk, n string) bool { return isThere(n) },
			func(_ *Desk, n string) error { return errors.Join(unmountBelow(n), os.RemoveAll(n)) }, "rm -r %s",
		}},
	}
}

// existing are those objects of a lesson that are there.
func (d *Desk) existing(l *Lesson) (found []Object) {
	for _, h := range handlers() {
		for _, o := range l.Uses {
			if o.Kind == h.kind && h.exists(d, o.Name) {
				found = append(found, o)
			}
		}
	}
	return found
}

// byHandCommand is what one would type to remove an object.
func byHandCommand(o Object) string {
	for _, h := range handlers() {
		if h.kind == o.Kind {
			return fmt.Sprintf(h.byHand, strings.ReplaceAll(o.Name, ",", " "))
		}
	}
	return ""
}

// removeUsed removes what the lesson makes by hand. None of it was there when the lesson began: start sees to that.
func (d *Desk) removeUsed(l *Lesson) (removed []string, err error) {
	for _, h := range handlers() {
		for _, o := range l.Uses {
			if o.Kind != h.kind || !h.exists(d, o.Name) {
				continue
			}
			if wrong := h.remove(d, o.Name); wrong != nil && h.exists(d, o.Name) {
				err = errors.Join(err, fmt.Errorf("removing %s %s: %w", o.Kind, o.Name, wrong))
				continue
			}
			removed = append(removed, o.Kind+" "+o.Name)
		}
	}
	return removed, err
}

// tidyNetns takes away what the first `ip netns add` of a machine has made, when no namespace is left in it.
func tidyNetns(before inventory) error {
	dir := strings.TrimSuffix(netnsDir, "/")
	names, err := netnsNames()
	if err != nil || len(names) > 0 || len(added(before.Mounts, mustMounts())) == 0 || slices.Contains(before.Mounts, dir) || !isThere(dir) {
		return err
	}
	return errors.Join(unmount(dir), os.Remove(dir))
}

func isThere(path string) bool { _, err := os.Lstat(path); return err == nil }

func mustMounts() []string { all, _ := mounts(); return all }

// unmount takes away every mount at a place, also one that is in use (MNT_DETACH, umount2(2)).
func unmount(place string) error {
	for range 100 {
		if !slices.Contains(mustMounts(), place) {
			return nil
		}
		if err := unix.Unmount(place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", place, err)
		}
	}
	return fmt.Errorf("%s is mounted again and again", place)
}

// unmountBelow takes away the mounts at and below a place, deepest first.
func unmountBelow(place string) error {
	all := mustMounts()
	slices.Reverse(all)
	var errs []error
	for _, m := range slices.Compact(all) {
		if m == place || strings.HasPrefix(m, place+"/") {
			errs = append(errs, unmount(m))
		}
	}
	return errors.Join(errs...)
}

// removeGroup removes a control group with those below it. Its processes were ended before; who is left there, a shell that a learner has
// put there himself, is moved to the group refuge.
func removeGroup(path, refuge string) error {
	var below []string
	err := filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			below = append(below, path)
		}
		return err
	})
	slices.Reverse(below)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var errs []error
		for _, dir := range below {
			// A frozen process does not leave.
			_ = os.WriteFile(dir+"/cgroup.freeze", []byte("0"), 0)
			errs = append(errs, moveOut(dir, refuge))
			if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
				errs = append(errs, &os.PathError{Op: "rmdir", Path: dir, Err: err})
			}
		}
		if !isThere(path) || time.Now().After(deadline) {
			return errors.Join(append(errs, err)...)
		}
	}
}

// moveOut moves a group's processes to another.
func moveOut(dir, to string) error {
	text, _ := os.ReadFile(dir + "/cgroup.procs")
	for pid := range strings.FieldsSeq(string(text)) {
		if err := os.WriteFile(to+"/cgroup.procs", []byte(pid), 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("moving process %s out of %s: %w", pid, dir, err)
		}
	}
	return nil
}

// findTable is an nftables table, FAMILY,NAME; nil: there is none.
func findTable(name string) (*nftables.Table, error) {
	family, table, _ := strings.Cut(name, ",")
	families := map[string]nftables.TableFamily{
		"ip": nftables.TableFamilyIPv4, "ip6": nftables.TableFamilyIPv6, "inet": nftables.TableFamilyINet,
		"bridge": nftables.TableFamilyBridge, "arp": nftables.TableFamilyARP, "netdev": nftables.TableFamilyNetdev,
	}
	c := &nftables.Conn{}
	all, err := c.ListTablesOfFamily(families[family])
	for _, t := range all {
		if t.Name == table {
			return t, nil
		}
	}
	return nil, err
}

func removeTable(name string) error {
	t, err := findTable(name)
	if t == nil {
		return err
	}
	c := &nftables.Conn{}
	c.DelTable(t)
	return c.Flush()
}
