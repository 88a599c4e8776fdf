package rootfs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// options is what the option strings of one entry of mounts mean, mount(8) and the runtime spec's table.
type options struct {
	flags       uintptr    // for mount(2)
	only        []string   // words that nothing but a flag of mount(2) can say
	super       []string   // words for a new file system as a whole: ro, sync, ...
	attr        attributes // of the mount
	rec         attributes // of the mount and of those below it: rro, rnosuid, ...
	propagation []propagation
	bind        bool
	recursive   bool
	remount     bool   // nothing new is mounted: what is there already is changed
	copyUp      bool   // tmpcopyup
	idmap       bool   // shown with other owners
	ridmap      bool   // and what is mounted below it, too
	subpath     string // what of the source is shown
	data        []string
}

// attributes are what mount_setattr(2) is to set and to clear.
type attributes struct{ set, clear uint64 }

// change gives the bits of field this value.
func (a *attributes) change(field, value uint64) {
	a.set = a.set&^field | value
	a.clear |= field
}

func (a attributes) any() bool { return a.set|a.clear != 0 }

// cleared are the bits to clear: what is set need not be, except that an access time attribute is one value of a field, mount_setattr(2).
func (a attributes) cleared() uint64 { return a.clear&^a.set | a.clear&unix.MOUNT_ATTR__ATIME }

// propagation is one of the words private, slave, shared, unbindable, or with an r before it.
type propagation struct {
	kind      uint64 // MS_PRIVATE, ...
	recursive bool
}

// Subpath before a path, as an option of a bind mount: only what lies there below the source is shown, and no link can lead out
// of the source.
const Subpath = "glassbox.subpath="

// word is what one option changes.
type word struct {
	flag  uintptr // of mount(2)
	off   bool    // the flag is cleared
	field uint64  // bits of mount_attr
	value uint64  // what they become
}

func on(flag uintptr, bit uint64) word  { return word{flag, false, bit, bit} }
func off(flag uintptr, bit uint64) word { return word{flag, true, bit, 0} }

// atime is a choice of when access times are written. Relatime is the kernel's default, and its value is 0.
func atime(flag uintptr, value uint64) word {
	return word{flag, false, unix.MOUNT_ATTR__ATIME, value}
}

// ofMount are attributes of one mount. With an r before it each applies to the mounts below, too.
var ofMount = map[string]word{
	"ro":            on(unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY),
	"rw":            off(unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY),
	"nosuid":        on(unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID),
	"suid":          off(unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID),
	"nodev":         on(unix.MS_NODEV, unix.MOUNT_ATTR_NODEV),
	"dev":           off(unix.MS_NODEV, unix.MOUNT_ATTR_NODEV),
	"noexec":        on(unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC),
	"exec":          off(unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC),
	"nosymfollow":   on(unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW),
	"symfollow":     off(unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW),
	"nodiratime":    on(unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME),
	"diratime":      off(unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME),
	"noatime":       atime(unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME),
	"atime":         {unix.MS_NOATIME, true, unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_RELATIME},
	"relatime":      atime(unix.MS_RELATIME, unix.MOUNT_ATTR_RELATIME),
	"norelatime":    {unix.MS_RELATIME, true, unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_RELATIME},
	"strictatime":   atime(unix.MS_STRICTATIME, unix.MOUNT_ATTR_STRICTATIME),
	"nostrictatime": {unix.MS_STRICTATIME, true, unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_RELATIME},
}

// ofFileSystem are words for a file system as a whole: a bind mount cannot change them.
var ofFileSystem = map[string]word{
	"sync":       {flag: unix.MS_SYNCHRONOUS},
	"async":      {flag: unix.MS_SYNCHRONOUS, off: true},
	"dirsync":    {flag: unix.MS_DIRSYNC},
	"lazytime":   {flag: unix.MS_LAZYTIME},
	"nolazytime": {flag: unix.MS_LAZYTIME, off: true},
	"mand":       {flag: unix.MS_MANDLOCK},
	"nomand":     {flag: unix.MS_MANDLOCK, off: true},
}

// ofCall are words that only a flag of mount(2) can say; their opposites are the default.
var ofCall = map[string]word{
	"iversion":   {flag: unix.MS_I_VERSION},
	"noiversion": {flag: unix.MS_I_VERSION, off: true},
	"silent":     {flag: unix.MS_SILENT},
	"loud":       {flag: unix.MS_SILENT, off: true},
}

var propagations = map[string]uint64{
	"private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED, "unbindable": unix.MS_UNBINDABLE,
}

// others are the words that are no flag.
var others = map[string]func(*options){
	"defaults":  func(*options) {},
	"bind":      func(o *options) { o.bind = true },
	"rbind":     func(o *options) { o.bind, o.recursive = true, true },
	"remount":   func(o *options) { o.remount = true },
	"tmpcopyup": func(o *options) { o.copyUp = true },
	"idmap":     func(o *options) { o.idmap = true },
	"ridmap":    func(o *options) { o.idmap, o.ridmap = true, true },
}

// Options are all words that mean something by themselves, in order. What is none of them is passed to the file system.
func Options() []string {
	list := slices.Collect(maps.Keys(others))
	for _, table := range []map[string]word{ofMount, ofFileSystem, ofCall} {
		list = slices.AppendSeq(list, maps.Keys(table))
	}
	for w := range ofMount {
		list = append(list, "r"+w)
	}
	for w := range propagations {
		list = append(list, w, "r"+w)
	}
	slices.Sort(list)
	return list
}

// parse sorts the words of mounts[].options; of two that contradict each other the later counts.
func parse(words []string) options {
	var o options
	for _, w := range words {
		o.add(w)
	}
	return o
}

func (o *options) add(w string) {
	short, r := strings.CutPrefix(w, "r")
	if a, ok := ofMount[w]; ok {
		o.flag(a)
		o.attr.change(a.field, a.value)
		if a.flag == unix.MS_RDONLY {
			o.super = append(o.super, w)
		}
	} else if a, ok := ofMount[short]; ok && r {
		o.rec.change(a.field, a.value)
	} else if a, ok := ofFileSystem[w]; ok {
		o.flag(a)
		o.super = append(o.super, w)
	} else if a, ok := ofCall[w]; ok {
		o.flag(a)
		if !a.off {
			o.only = append(o.only, w)
		}
	} else if kind, ok := propagations[w]; ok {
		o.propagation = append(o.propagation, propagation{kind, false})
	} else if kind, ok := propagations[short]; ok && r {
		o.propagation = append(o.propagation, propagation{kind, true})
	} else if path, ok := strings.CutPrefix(w, Subpath); ok {
		o.subpath = path
	} else if set, ok := others[w]; ok {
		set(o)
	} else {
		o.data = append(o.data, pieces(w)...)
	}
}

// pieces separates what mount(2) would separate: commas, but not those in quotes, which SELinux's contexts hold.
func pieces(w string) []string {
	if strings.ContainsAny(w, `"\`) {
		return []string{w}
	}
	return slices.DeleteFunc(strings.Split(w, ","), func(s string) bool { return s == "" })
}

func (o *options) flag(w word) {
	if w.off {
		o.flags &^= w.flag
	} else {
		o.flags |= w.flag
	}
}

// check refuses what contradicts itself.
func (o options) check() error {
	if o.copyUp && (o.bind || o.remount) {
		return errors.New("options: tmpcopyup is for a new tmpfs")
	}
	return nil
}

// idle are the words of a bind mount that change nothing: it shows a file system that is mounted already, and cannot change that.
func (o options) idle() []string {
	idle := slices.Clone(o.data)
	for _, w := range o.super {
		if a, all := ofFileSystem[w]; all && !a.off {
			idle = append(idle, w)
		}
	}
	return idle
}

// Warnings are what config.json asks for and mounts cannot give.
func (t *Tree) Warnings() []string {
	var list []string
	for i, m := range t.Spec.Mounts {
		o := parse(m.Options)
		if idle := o.idle(); (o.bind || m.Type == "bind") && !o.remount && len(idle) > 0 {
			list = append(list, fmt.Sprintf("%s.options: %q has no effect: a bind mount shows a file system that is mounted already", step(i), strings.Join(idle, ",")))
		}
	}
	return list
}
