package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// options is what the option strings of one entry of mounts mean, mount(8) and the runtime spec's table.
type options struct {
	flags       uintptr // for mount(2), of a new file system
	set, clear  uint64  // MOUNT_ATTR_* for mount_setattr(2), of a bind mount
	recSet      uint64  // the same for the mounts below it too: rro, rnosuid, ...
	recClear    uint64
	propagation uint64 // MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE; 0: not asked for
	recProp     bool
	bind        bool
	recursive   bool
	copyUp      bool   // tmpcopyup
	idmap       bool   // shown with the owners that the user namespace counts
	subpath     string // what of the source is shown
	data        []string
}

// Subpath before a path, as an option of a bind mount: only what lies there below the source is shown, and no link can lead out
// of the source.
const Subpath = "glassbox.subpath="

// attribute is one word that sets or clears something of a mount.
type attribute struct {
	flag uintptr // for mount(2)
	attr uint64  // for mount_setattr(2)
	off  bool    // clears it
}

var attributes = map[string]attribute{
	"ro":          {unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY, false},
	"rw":          {unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY, true},
	"nosuid":      {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID, false},
	"suid":        {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID, true},
	"nodev":       {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV, false},
	"dev":         {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV, true},
	"noexec":      {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC, false},
	"exec":        {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC, true},
	"nodiratime":  {unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME, false},
	"diratime":    {unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME, true},
	"noatime":     {unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME, false},
	"atime":       {unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME, true},
	"relatime":    {unix.MS_RELATIME, unix.MOUNT_ATTR_RELATIME, false},
	"norelatime":  {unix.MS_RELATIME, unix.MOUNT_ATTR_RELATIME, true},
	"strictatime": {unix.MS_STRICTATIME, unix.MOUNT_ATTR_STRICTATIME, false},
	"nosymfollow": {msNosymfollow, unix.MOUNT_ATTR_NOSYMFOLLOW, false},
	"symfollow":   {msNosymfollow, unix.MOUNT_ATTR_NOSYMFOLLOW, true},
}

const msNosymfollow = 256 // MS_NOSYMFOLLOW, Linux 5.10

// fsFlags are words that only a new file system knows.
var fsFlags = map[string]attribute{
	"sync":       {unix.MS_SYNCHRONOUS, 0, false},
	"async":      {unix.MS_SYNCHRONOUS, 0, true},
	"dirsync":    {unix.MS_DIRSYNC, 0, false},
	"mand":       {unix.MS_MANDLOCK, 0, false},
	"nomand":     {unix.MS_MANDLOCK, 0, true},
	"iversion":   {unix.MS_I_VERSION, 0, false},
	"noiversion": {unix.MS_I_VERSION, 0, true},
	"lazytime":   {unix.MS_LAZYTIME, 0, false},
	"silent":     {unix.MS_SILENT, 0, false},
	"loud":       {unix.MS_SILENT, 0, true},
	"defaults":   {},
}

var propagations = map[string]uint64{
	"private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED, "unbindable": unix.MS_UNBINDABLE,
}

// parse sorts the words of mounts[].options. What none of the tables knows is data for the file system.
func parse(words []string) options {
	var o options
	for _, w := range words {
		if w == "" {
			continue
		}
		if a, ok := attributes[w]; ok {
			o.flags, o.set, o.clear = a.apply(o.flags, o.set, o.clear)
			continue
		}
		if a, ok := fsFlags[w]; ok {
			o.flags, _, _ = a.apply(o.flags, 0, 0)
			continue
		}
		short := strings.TrimPrefix(w, "r")
		if a, ok := attributes[short]; ok && w != short {
			_, o.recSet, o.recClear = a.apply(0, o.recSet, o.recClear)
			continue
		}
		if p, ok := propagations[w]; ok {
			o.propagation, o.recProp = p, false
			continue
		}
		if p, ok := propagations[short]; ok {
			o.propagation, o.recProp = p, true
			continue
		}
		if path, ok := strings.CutPrefix(w, Subpath); ok {
			o.subpath = path
			continue
		}
		switch w {
		case "idmap":
			o.idmap = true
		case "bind":
			o.bind = true
		case "rbind":
			o.bind, o.recursive = true, true
		case "tmpcopyup":
			o.copyUp = true
		default:
			o.data = append(o.data, w)
		}
	}
	return o
}

func (a attribute) apply(flags uintptr, set, clear uint64) (uintptr, uint64, uint64) {
	if a.off {
		return flags &^ a.flag, set &^ a.attr, clear | a.attr
	}
	return flags | a.flag, set | a.attr, clear &^ a.attr
}
