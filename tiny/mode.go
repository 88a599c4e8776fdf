package tiny

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parseMode reads chmod(1)'s modes: octal, or symbolic and relative to old.
func parseMode(text string, old uint32, dir bool) (uint32, error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return uint32(n), nil
	}
	mask := unix.Umask(0)
	unix.Umask(mask)
	mode := old & 0o7777
	for clause := range strings.SplitSeq(text, ",") {
		var err error
		if mode, err = clauseMode(clause, mode, uint32(mask), dir); err != nil {
			return 0, err
		}
	}
	return mode, nil
}

var errMode = errors.New("invalid mode")

func clauseMode(clause string, mode, mask uint32, dir bool) (uint32, error) {
	who := uint32(0)
	i := 0
	for ; i < len(clause); i++ {
		bits, ok := map[byte]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[clause[i]]
		if !ok {
			break
		}
		who |= bits
	}
	limit := uint32(0o7777)
	if who == 0 { // no who: all, less the umask
		who, limit = 0o7777, 0o7777&^mask
	}
	if i == len(clause) {
		return 0, errMode
	}
	for i < len(clause) {
		op := clause[i]
		if op != '+' && op != '-' && op != '=' {
			return 0, errMode
		}
		bits := uint32(0)
		for i++; i < len(clause) && strings.IndexByte("+-=", clause[i]) < 0; i++ {
			switch clause[i] {
			case 'r':
				bits |= 0o444
			case 'w':
				bits |= 0o222
			case 'x':
				bits |= 0o111
			case 'X':
				if dir || mode&0o111 != 0 {
					bits |= 0o111
				}
			case 's':
				bits |= 0o6000
			case 't':
				bits |= 0o1000
			case 'u':
				bits |= mode >> 6 & 7 * 0o111
			case 'g':
				bits |= mode >> 3 & 7 * 0o111
			case 'o':
				bits |= mode & 7 * 0o111
			default:
				return 0, errMode
			}
		}
		if bits&0o1000 != 0 {
			who |= 0o1000
		}
		switch op {
		case '+':
			mode |= bits & who & limit
		case '-':
			mode &^= bits & who & limit
		case '=':
			mode = mode&^(who&0o777|bits&0o7000) | bits&who&limit
		}
	}
	return mode, nil
}

func chmod(c *call) int {
	// A mode may look like an option: chmod -x FILE.
	args := c.args
	var letters, mode string
	for len(args) > 0 && mode == "" {
		word := args[0]
		switch {
		case strings.HasPrefix(word, "-") && len(word) > 1 && strings.Trim(word[1:], "Rvcf") == "":
			letters += word[1:]
		case word == "--":
		default:
			mode = word
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return c.misused("")
	}
	for _, name := range args {
		c.chmod(name, mode, letters, true)
	}
	return c.bad
}

// chmod changes one name; flags are the letters given: R goes down, v and c tell, f keeps quiet about what fails.
func (c *call) chmod(name, mode, flags string, top bool) {
	has := func(letter string) bool { return strings.Contains(flags, letter) }
	fail := func(err error) {
		if c.bad = 1; !has("f") {
			c.errorf("%s: %s", name, reason(err))
		}
	}
	info, err := os.Lstat(name)
	if err == nil && info.Mode()&os.ModeSymlink != 0 {
		if !top {
			return
		}
		info, err = os.Stat(name)
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Stat(name, &st)
	}
	if err != nil {
		fail(err)
		return
	}
	bits, err := parseMode(mode, st.Mode, info.IsDir())
	if err != nil {
		c.errorf("invalid mode '%s'", mode)
		return
	}
	if err := unix.Chmod(name, bits); err != nil {
		fail(err)
	} else if has("v") || has("c") && bits != st.Mode&0o7777 {
		c.printf("mode of '%s' changed to %04o (%s)\n", name, bits, modeText(bits | st.Mode&unix.S_IFMT)[1:])
	}
	if !has("R") || !info.IsDir() {
		return
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		c.errorf("can't open '%s': %s", name, reason(err))
	}
	for _, entry := range entries {
		c.chmod(name+"/"+entry.Name(), mode, flags, false)
	}
}

// modeText is the ten characters of ls -l.
func modeText(mode uint32) string {
	text := []byte("?rwxrwxrwx")
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		text[0] = '-'
	case unix.S_IFDIR:
		text[0] = 'd'
	case unix.S_IFLNK:
		text[0] = 'l'
	case unix.S_IFCHR:
		text[0] = 'c'
	case unix.S_IFBLK:
		text[0] = 'b'
	case unix.S_IFIFO:
		text[0] = 'p'
	case unix.S_IFSOCK:
		text[0] = 's'
	}
	for i := range 9 {
		if mode&(0o400>>i) == 0 {
			text[i+1] = '-'
		}
	}
	for i, bit := range []uint32{unix.S_ISUID, unix.S_ISGID, unix.S_ISVTX} {
		if mode&bit == 0 {
			continue
		}
		letter := "sst"[i]
		if text[3*i+3] == '-' {
			letter -= 'a' - 'A'
		}
		text[3*i+3] = letter
	}
	return string(text)
}

func chown(c *call) int {
	o, ok := c.options("Rhvfc", "recursive=R", "no-dereference=h", "verbose=v")
	if !ok {
		return 1
	}
	if len(o.rest) < 2 {
		return c.misused("")
	}
	uid, gid, err := c.owner(o.rest[0])
	if err != nil {
		return c.fail("%v", err)
	}
	for _, name := range o.rest[1:] {
		c.chown(name, uid, gid, o, true)
	}
	return c.bad
}

// owner reads USER, USER:GROUP, USER: and :GROUP; -1 leaves an id alone.
func (c *call) owner(text string) (uid, gid int, err error) {
	if c.name == "chgrp" {
		gid, err = groupID(text)
		return -1, gid, err
	}
	uid, gid = -1, -1
	user, group, both := strings.Cut(text, ":")
	if !both {
		if u, g, dot := strings.Cut(text, "."); dot {
			if _, err := userNamed(text); err != nil {
				user, group, both = u, g, true
			}
		}
	}
	if user != "" {
		if entry, err := userNamed(user); err == nil {
			uid = entry.uid
			if both && group == "" {
				gid = entry.gid
			}
		} else if uid, err = strconv.Atoi(user); err != nil || uid < 0 {
			return 0, 0, errors.New("unknown user " + user)
		}
	}
	if group != "" {
		gid, err = groupID(group)
	}
	return uid, gid, err
}

func groupID(name string) (int, error) {
	for _, g := range groups() {
		if g.name == name {
			return g.gid, nil
		}
	}
	gid, err := strconv.Atoi(name)
	if err != nil || gid < 0 {
		return 0, errors.New("unknown group " + name)
	}
	return gid, nil
}

func either(id int, old uint32) int {
	if id < 0 {
		return int(old)
	}
	return id
}

func (c *call) chown(name string, uid, gid int, o *options, top bool) {
	info, err := os.Lstat(name)
	var before unix.Stat_t
	if err == nil {
		unix.Stat(name, &before)
		if o.has('h') || !top && info.Mode()&os.ModeSymlink != 0 {
			err = os.Lchown(name, uid, gid)
		} else {
			err = os.Chown(name, uid, gid)
		}
	}
	if err != nil {
		if c.bad = 1; !o.has('f') {
			c.errorf("%s: %s", name, reason(err))
		}
		return
	}
	changed := uid >= 0 && uint32(uid) != before.Uid || gid >= 0 && uint32(gid) != before.Gid
	if o.has('v') || o.has('c') && changed {
		c.printf("changed ownership of '%s' to %d:%d\n", name, either(uid, before.Uid), either(gid, before.Gid))
	}
	if !o.has('R') || !info.IsDir() {
		return
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		c.errorf("can't open '%s': %s", name, reason(err))
	}
	for _, entry := range entries {
		c.chown(name+"/"+entry.Name(), uid, gid, o, false)
	}
}
