package volume

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"glassbox/linux"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Resolve turns a host's name into an address, as net.ResolveIPAddr does.
type Resolve func(network, name string) (*net.IPAddr, error)

// word is an option of mount(8) that is a flag of mount(2).
type word struct {
	flag uintptr
	off  bool
}

var words = map[string]word{
	"ro": {unix.MS_RDONLY, false}, "rw": {unix.MS_RDONLY, true}, "suid": {unix.MS_NOSUID, true}, "nosuid": {unix.MS_NOSUID, false},
	"dev": {unix.MS_NODEV, true}, "nodev": {unix.MS_NODEV, false}, "exec": {unix.MS_NOEXEC, true}, "noexec": {unix.MS_NOEXEC, false},
	"sync": {unix.MS_SYNCHRONOUS, false}, "async": {unix.MS_SYNCHRONOUS, true}, "dirsync": {unix.MS_DIRSYNC, false},
	"remount": {unix.MS_REMOUNT, false}, "mand": {unix.MS_MANDLOCK, false}, "nomand": {unix.MS_MANDLOCK, true},
	"atime": {unix.MS_NOATIME, true}, "noatime": {unix.MS_NOATIME, false}, "diratime": {unix.MS_NODIRATIME, true},
	"nodiratime": {unix.MS_NODIRATIME, false}, "bind": {unix.MS_BIND, false}, "rbind": {unix.MS_BIND | unix.MS_REC, false},
	"private": {unix.MS_PRIVATE, false}, "rprivate": {unix.MS_PRIVATE | unix.MS_REC, false}, "shared": {unix.MS_SHARED, false},
	"rshared": {unix.MS_SHARED | unix.MS_REC, false}, "slave": {unix.MS_SLAVE, false}, "rslave": {unix.MS_SLAVE | unix.MS_REC, false},
	"unbindable": {unix.MS_UNBINDABLE, false}, "runbindable": {unix.MS_UNBINDABLE | unix.MS_REC, false},
	"relatime": {unix.MS_RELATIME, false}, "norelatime": {unix.MS_RELATIME, true},
	"strictatime": {unix.MS_STRICTATIME, false}, "nostrictatime": {unix.MS_STRICTATIME, true}, "defaults": {},
}

// split tells the flags among the words of -o from the data that go to the file system.
func split(o string) (flags uintptr, data string) {
	var rest []string
	for w := range strings.SplitSeq(o, ",") {
		switch f, is := words[w]; {
		case w == "":
		case is && f.off:
			flags &^= f.flag
		case is:
			flags |= f.flag
		default:
			rest = append(rest, w)
		}
	}
	return flags, strings.Join(rest, ",")
}

const propagation = unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE

// Mount is the mounting of what the options name on a volume's directory, on the host.
func (o Options) Mount(at, from string, resolve Resolve) ([]program.Request, error) {
	device, words, err := o.resolved(resolve)
	if err != nil {
		return nil, err
	}
	flags, data := split(words)
	first := flags &^ propagation
	out := []program.Request{o.request(asked{"mount", device, at, o.Type, first, data}, from, "the first running container that uses the volume: show what it stands for in its directory", func() error {
		return unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	})}
	if p := flags & propagation; p != 0 {
		out = append(out, o.request(asked{"remount", "", at, "", p | flags&unix.MS_REC, ""}, from, "whether mounts below are passed on", nil))
	}
	if first&unix.MS_BIND != 0 && first&unix.MS_RDONLY != 0 {
		out = append(out, o.request(asked{"remount-ro", "", at, "", first | unix.MS_REMOUNT, ""}, from, "a bind mount becomes read-only only by a second call", nil))
	}
	return out, nil
}

// asked is one mount(2), and its name in Docker's errors.
type asked struct {
	op, device, at, fstype string
	flags                  uintptr
	data                   string
}

func (o Options) request(a asked, from, why string, undo func() error) program.Request {
	return program.Request{
		Call: fmt.Sprintf("mount(%q, %q, %q, %s, %q)", a.device, a.at, a.fstype, linux.MountFlags.Join(uint64(a.flags), "MS_???"), hidden(a.data)),
		From: from, Why: why, Undo: undo,
		Do: func() error {
			if err := unix.Mount(a.device, a.at, a.fstype, a.flags, a.data); err != nil {
				return &Refused{asked: a, Err: err}
			}
			return nil
		},
	}
}

// Unmount takes away what Mount put there.
func Unmount(at, from string) program.Request {
	return program.Request{
		Call: fmt.Sprintf("umount2(%q, UMOUNT_NOFOLLOW)", at), From: from, Why: "the last running container that used the volume has ended",
		Do: func() error {
			err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
			if err == unix.EBUSY {
				// Somebody on the host stands in it. Docker fails here and leaves the mount; so it goes when they leave.
				err = unix.Unmount(at, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
			}
			return err
		},
	}
}

// Mounted reports whether something is mounted on the directory.
func Mounted(at string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, at, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, 0, &st)
	if err != nil {
		return false, err
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// Refused is a mount that the kernel refused, in Docker's words.
type Refused struct {
	asked
	Err error
}

func (e *Refused) Error() string {
	text := e.op + " " + e.at
	if e.device != "" {
		text = e.op + " " + e.device + ":" + e.at
	}
	if e.flags != 0 {
		text += ", flags: 0x" + strconv.FormatUint(uint64(e.flags), 16)
	}
	if e.data != "" {
		text += ", data: " + hidden(e.data)
	}
	return text + ": " + e.Err.Error()
}

func (e *Refused) Unwrap() error { return e.Err }

// hidden keeps a password out of what is shown.
func hidden(data string) string {
	parts := strings.Split(data, ",")
	for i, p := range parts {
		if strings.HasPrefix(p, "password=") {
			parts[i] = "password=********"
		}
	}
	return strings.Join(parts, ",")
}

// resolved: the kernel's nfs and cifs know addresses only.
func (o Options) resolved(resolve Resolve) (device, words string, err error) {
	if o.Device == "" {
		return "", "", errors.New("missing device in volume options")
	}
	if o.Type != "nfs" && o.Type != "cifs" {
		return o.Device, o.O, nil
	}
	if name := address(o.O); name != "" && net.ParseIP(name).To4() == nil {
		ip, err := resolve("ip", name)
		if err != nil {
			return "", "", fmt.Errorf("error resolving passed in network volume address: %w", err)
		}
		return o.Device, strings.Replace(o.O, "addr="+name, "addr="+ip.String(), 1), nil
	}
	if o.Type == "nfs" {
		return o.Device, o.O, nil
	}
	device, err = share(o.Device, resolve)
	return device, o.O, err
}

func address(o string) string {
	for w := range strings.SplitSeq(o, ",") {
		if v, ok := strings.CutPrefix(w, "addr="); ok {
			return v
		}
	}
	return ""
}

// share puts the address for the host's name into //host/share.
func share(device string, resolve Resolve) (string, error) {
	u, err := url.Parse(device)
	if err != nil {
		return "", fmt.Errorf("error parsing mount device url: %w", err)
	}
	if u.Host == "" || net.ParseIP(u.Host) != nil {
		return device, nil
	}
	ip, err := resolve("ip", u.Host)
	if err != nil {
		return "", fmt.Errorf("error resolving passed in network volume address: %w", err)
	}
	u.Host = ip.String()
	text, err := url.QueryUnescape(u.String())
	if err != nil {
		return "", fmt.Errorf("failed to unescape device URL: %q", u)
	}
	return text, nil
}
