package tiny

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// The user database is read by hand: the container's files are all that there is.

type user struct {
	name     string
	uid, gid int
	home     string
	shell    string
}

type group struct {
	name    string
	gid     int
	members []string
}

func users() (list []user) {
	for _, f := range records("/etc/passwd", 7) {
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 == nil && err2 == nil {
			list = append(list, user{f[0], uid, gid, f[5], f[6]})
		}
	}
	return list
}

func groups() (list []group) {
	for _, f := range records("/etc/group", 4) {
		if gid, err := strconv.Atoi(f[2]); err == nil {
			list = append(list, group{f[0], gid, strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })})
		}
	}
	return list
}

func records(path string, fields int) (list [][]string) {
	data, _ := os.ReadFile(path)
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) >= fields {
			list = append(list, f)
		}
	}
	return list
}

func userNamed(name string) (user, error) {
	for _, u := range users() {
		if u.name == name {
			return u, nil
		}
	}
	return user{}, errors.New("unknown user " + name)
}

// names keeps the names of ids for listings; an id without a name is shown as a number.
type names struct {
	users, groups map[int]string
	numeric       bool
}

func loadNames(numeric bool) *names {
	n := &names{users: map[int]string{}, groups: map[int]string{}, numeric: numeric}
	if numeric {
		return n
	}
	for _, u := range users() {
		if _, ok := n.users[u.uid]; !ok {
			n.users[u.uid] = u.name
		}
	}
	for _, g := range groups() {
		if _, ok := n.groups[g.gid]; !ok {
			n.groups[g.gid] = g.name
		}
	}
	return n
}

func (n *names) user(uid int) string {
	if name, ok := n.users[uid]; ok {
		return name
	}
	return strconv.Itoa(uid)
}

func (n *names) group(gid int) string {
	if name, ok := n.groups[gid]; ok {
		return name
	}
	return strconv.Itoa(gid)
}
