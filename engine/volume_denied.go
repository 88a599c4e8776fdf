package engine

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"glassbox/archive"

	"github.com/docker/docker/api/types/mount"
	"github.com/moby/sys/user"
)

// Denial is a file of the host, or of a volume, that the container's process may not use, and why.
type Denial struct {
	Inside  string // as the process calls it
	Outside string // where it is on the host
	Verb    string // what it may not: search (pass through), read, write
	Mode    string // -rw-r-----
	Owner   Identity
	Group   Identity

	Process      Identity // who the process is
	ProcessGroup Identity
	Groups       []uint32 // its other groups, as the container counts

	Why, Fix string // one sentence each
}

// Identity is a user or group on both sides. Without a user namespace both count alike, but names may differ.
type Identity struct {
	Inside, Host         uint32
	InsideName, HostName string // empty: nobody of that number
}

const unmapped = archive.Unmapped

// Denied finds what of its bind mounts and volumes the container's process may not use, if text, what the process said, speaks of
// permission: the files that it names, or without any the mounts themselves. An empty text means the container's log. It must
// be asked before the container is removed.
func (c *Containers) Denied(id, text string) ([]Denial, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	if len(r.Mounts) == 0 {
		return nil, nil
	}
	if text == "" {
		if text, err = r.lastWords(); err != nil {
			return nil, err
		}
	}
	said := complaints(text)
	if len(said) == 0 {
		return nil, nil
	}
	j, err := c.judge(r)
	if err != nil {
		return nil, err
	}
	return j.all(said), nil
}

// judge knows who the process is.
type judge struct {
	*record
	who     account
	caps    []string
	inside  [2]func(uint32) string // names of users and groups in the container
	outside [2]func(uint32) string
}

func (c *Containers) judge(r *record) (*judge, error) {
	j := &judge{record: r}
	var err error
	if j.who, err = lookupUser(r.tree(), r.Config.User, r.HostConfig.GroupAdd); err != nil {
		return nil, err
	}
	if j.who.UID == 0 { // others lose them at execve, capabilities(7)
		if j.caps, err = granted(r.HostConfig.CapAdd, r.HostConfig.CapDrop, r.HostConfig.Privileged); err != nil {
			return nil, err
		}
	}
	for i, file := range []string{"/etc/passwd", "/etc/group"} {
		j.inside[i] = func(id uint32) string { return nameIn(r.tree(), file, id) }
		j.outside[i] = func(id uint32) string { return nameIn(tree{"/"}, file, id) }
	}
	return j, nil
}

// nameIn looks a number up in passwd(5) or group(5).
func nameIn(f files, file string, id uint32) string {
	data, err := optional(f, file)
	if err != nil {
		return ""
	}
	defer data.Close()
	if file == "/etc/group" {
		found, err := user.ParseGroupFilter(data, func(g user.Group) bool { return uint32(g.Gid) == id })
		if err != nil || len(found) == 0 {
			return ""
		}
		return found[0].Name
	}
	found, err := user.ParsePasswdFilter(data, func(u user.User) bool { return uint32(u.Uid) == id })
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0].Name
}

// all are the denials for what was said, each once.
func (j *judge) all(said []complaint) []Denial {
	var out []Denial
	add := func(d Denial, ok bool) {
		if ok && !slices.ContainsFunc(out, func(o Denial) bool { return o.Outside == d.Outside && o.Verb == d.Verb }) {
			out = append(out, d)
		}
	}
	for _, s := range said {
		for _, name := range s.paths(either(j.Config.WorkingDir, "/")) {
			if m, ok := j.mountAt(name); ok {
				add(j.judge(m, name, s))
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, m := range j.Mounts {
		for _, s := range said {
			if !s.named && (m.Type == mount.TypeBind || m.Type == mount.TypeVolume) {
				add(j.judge(m, m.Destination, s))
			}
		}
	}
	return out
}

// mountAt is the mount that a path of the container is on.
func (j *judge) mountAt(name string) (mountPoint, bool) {
	var found mountPoint
	for _, m := range j.Mounts {
		if (name == m.Destination || strings.HasPrefix(name, m.Destination+"/")) && len(m.Destination) > len(found.Destination) {
			found = m
		}
	}
	return found, found.Type == mount.TypeBind || found.Type == mount.TypeVolume
}

// judge goes from the mount's root to the file, as the kernel does, and stops at the first thing that is not allowed.
func (j *judge) judge(m mountPoint, name string, s complaint) (Denial, bool) {
	at := place{mount: m, inside: m.Destination, outside: path.Join(m.Source, m.Subpath)}
	if s.readOnly {
		d, ok := j.look(at)
		d.Verb, d.Why, d.Fix = "write", "the mount is read-only, whoever asks", "leave out :ro or readonly"
		return d, ok && !m.RW
	}
	rest := strings.FieldsFunc(strings.TrimPrefix(name, m.Destination), func(r rune) bool { return r == '/' })
	for _, part := range rest {
		if d, denied := j.denied(at, "search"); denied {
			return d, true
		}
		next := at.child(part)
		info, err := os.Lstat(next.outside)
		if err != nil { // what is not there would be made
			return j.denied(at, "write")
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return Denial{}, false // where it leads is the container's matter
		}
		at = next
	}
	verbs := []string{"read", "write"}
	if s.writes {
		verbs = []string{"write"}
	}
	for _, verb := range verbs {
		if d, denied := j.denied(at, verb); denied {
			return d, true
		}
	}
	if info, err := os.Lstat(at.outside); err == nil && info.IsDir() {
		return j.denied(at, "search")
	}
	if s.writes && len(rest) > 0 {
		return j.denied(at.parent(), "write")
	}
	return Denial{}, false
}

// place is a file on a mount, on both sides.
type place struct {
	mount           mountPoint
	inside, outside string
}

func (p place) child(name string) place {
	return place{p.mount, path.Join(p.inside, name), path.Join(p.outside, name)}
}

func (p place) parent() place { return place{p.mount, path.Dir(p.inside), path.Dir(p.outside)} }

// look describes a file, without a judgement.
func (j *judge) look(p place) (Denial, bool) {
	info, err := os.Stat(p.outside)
	if err != nil {
		return Denial{}, false
	}
	st := info.Sys().(*syscall.Stat_t)
	d := Denial{Inside: p.inside, Outside: p.outside, Mode: info.Mode().String(), Owner: j.identity(p, 0, st.Uid), Group: j.identity(p, 1, st.Gid)}
	d.Process, d.ProcessGroup = j.process(0, j.who.UID), j.process(1, j.who.GID)
	for _, g := range j.who.AdditionalGids {
		if g != j.who.GID {
			d.Groups = append(d.Groups, g)
		}
	}
	return d, true
}

// identity is whom a file belongs to. A volume's owners are shown as they are on the disk, whatever the user namespace.
func (j *judge) identity(p place, kind int, id uint32) Identity {
	who := Identity{Inside: id, Host: id}
	if p.mount.Type != mount.TypeVolume {
		who.Inside = archive.Owners(j.IDMap).Inside(id)
	}
	who.InsideName, who.HostName = j.inside[kind](who.Inside), j.outside[kind](id)
	return who
}

func (j *judge) process(kind int, id uint32) Identity {
	host, known := archive.Owners(j.IDMap).Outside(id)
	if !known {
		host = archive.Unmapped
	}
	return Identity{Inside: id, Host: host, InsideName: j.inside[kind](id), HostName: j.outside[kind](host)}
}

var permission = map[string]fs.FileMode{"read": 4, "write": 2, "search": 1}

// denied is the kernel's rule: the owner's bits for the owner, else the group's for its members, else the others'; a capability
// lets root pass, if the file's owners have numbers in its user namespace. inode(7), capabilities(7).
func (j *judge) denied(p place, verb string) (Denial, bool) {
	d, ok := j.look(p)
	if !ok {
		return d, false
	}
	info, err := os.Stat(p.outside)
	if err != nil || j.passes(d, verb) {
		return d, false
	}
	bits, is, part := info.Mode().Perm()&7, "neither its owner nor in its group", "others"
	switch {
	case d.Owner.Inside == j.who.UID && d.Owner.Inside != unmapped:
		bits, is, part = info.Mode().Perm()>>6&7, "its owner", "its owner"
	case d.Group.Inside == j.who.GID || slices.Contains(d.Groups, d.Group.Inside):
		bits, is, part = info.Mode().Perm()>>3&7, "in its group", "its group"
	}
	if bits&permission[verb] != 0 {
		return d, false
	}
	d.Verb = verb
	d.Why = fmt.Sprintf("uid %d is %s, and %s does not let %s %s", j.who.UID, is, d.Mode, part, verb)
	d.Fix = j.fix(p, d, part)
	return d, true
}

func (j *judge) passes(d Denial, verb string) bool {
	if len(j.IDMap) > 0 && (d.Owner.Inside == unmapped || d.Group.Inside == unmapped) {
		return false
	}
	return slices.Contains(j.caps, "CAP_DAC_OVERRIDE") || verb != "write" && slices.Contains(j.caps, "CAP_DAC_READ_SEARCH")
}

// fix names what cures it: another user for the process, or another owner for the files.
func (j *judge) fix(p place, d Denial, part string) string {
	root, uid, gid := path.Join(p.mount.Source, p.mount.Subpath), d.Process.Host, d.ProcessGroup.Host
	if p.mount.Type == mount.TypeVolume {
		uid, gid = d.Process.Inside, d.ProcessGroup.Inside
	}
	if part == "its owner" {
		return fmt.Sprintf("chmod u+%s %s", map[string]string{"read": "r", "write": "w", "search": "x"}[d.Verb], d.Outside)
	}
	give := fmt.Sprintf("chown -R %d:%d %s", uid, gid, root)
	if len(j.IDMap) > 0 && p.mount.Type == mount.TypeBind || d.Owner.Inside == 0 {
		return give
	}
	return fmt.Sprintf("--user %d:%d, or %s", d.Owner.Inside, d.Group.Inside, give)
}
