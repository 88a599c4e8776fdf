package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watched is a directory that is watched with all below it, inotify(7). A container may exchange its directories for links at any moment: each is
// opened without following any.
type watched struct {
	root    *os.File
	inotify *os.File         // nil: none could be had
	number  int              // its descriptor: Fd would make its reads wait without end
	paths   map[int32]string // what the kernel's numbers of watches stand for
	blind   bool             // some directory could not be watched: a user has fs.inotify.max_user_watches
	told    bool             // and somebody knows
}

// notice is a name about which the kernel has told something.
type notice struct {
	path string
	made bool // it was made, or moved there
}

const inotifyChanges = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB |
	unix.IN_ONLYDIR

func watch(dir string) (*watched, error) {
	root, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	w := &watched{root: root, paths: map[int32]string{}}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil { // a user has fs.inotify.max_user_instances
		w.blind = true
		return w, nil
	}
	w.inotify, w.number = os.NewFile(uintptr(fd), "inotify"), fd
	return w, nil
}

func (w *watched) close() {
	w.root.Close()
	if w.inotify != nil {
		w.inotify.Close()
	}
}

// at opens something below the root; nil: it is not there, or a link is in the way.
func (w *watched) at(name string, flags uint64) (*os.File, error) {
	how := &unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	for {
		fd, err := unix.Openat2(int(w.root.Fd()), path.Clean("./"+name), how)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR: // something was renamed meanwhile, openat2(2)
		case vanished(err):
			return nil, nil
		case err != nil:
			return nil, &os.PathError{Op: "open", Path: path.Join(w.root.Name(), name), Err: err}
		default:
			return os.NewFile(uintptr(fd), name), nil
		}
	}
}

// list watches a directory from now on, and returns what it holds now. blind: it cannot be watched.
func (w *watched) list(name string) (names []string, blind bool, err error) {
	dir, err := w.at(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil || dir == nil {
		return nil, false, err
	}
	defer dir.Close()
	if w.inotify == nil {
		blind = true
	} else if number, err := unix.InotifyAddWatch(w.number, "/proc/self/fd/"+strconv.Itoa(int(dir.Fd())), inotifyChanges); err == nil {
		w.paths[int32(number)] = name
	} else {
		w.blind, blind = true, true
	}
	names, err = dir.Readdirnames(-1)
	if vanished(err) {
		err = nil // it was removed
	}
	return names, blind, err
}

// describe is what a name is now; nil: it is not there.
func (w *watched) describe(name string) (*upperFile, error) {
	dir, err := w.at(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil || dir == nil {
		return nil, err
	}
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), path.Base(name), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if vanished(err) {
			return nil, nil
		}
		return nil, &os.PathError{Op: "stat", Path: path.Join(w.root.Name(), name), Err: err}
	}
	f := &upperFile{mode: st.Mode, uid: st.Uid, gid: st.Gid, inode: st.Ino, size: st.Size, changed: st.Mtim}
	file := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + path.Base(name)
	switch f.mode & unix.S_IFMT {
	case unix.S_IFCHR:
		if st.Rdev == 0 {
			f.mode = 0
		}
	case unix.S_IFDIR:
		f.size, f.names, f.opaque = 0, map[string]*upperFile{}, isOpaque(file)
	}
	f.copied = copiedUp(file)
	return f, nil
}

// wait returns what the kernel tells within patience, and what it tells in the moment after the first of it. lost: it had more to tell than it
// keeps, fs.inotify.max_queued_events.
func (w *watched) wait(ctx context.Context, patience, gather time.Duration) (told []notice, lost bool, err error) {
	if w.inotify == nil {
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(patience):
			return nil, false, nil
		}
	}
	end := time.Now().Add(patience)
	stop := context.AfterFunc(ctx, func() { w.inotify.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	seen := map[string]int{}
	buffer := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if err := w.inotify.SetReadDeadline(end); err != nil {
			return told, lost, err
		}
		if ctx.Err() != nil { // and its deadline is overwritten
			break
		}
		n, err := w.inotify.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return told, lost, err
		}
		if len(told) == 0 {
			end = time.Now().Add(gather)
		}
		lost = w.take(buffer[:n], &told, seen) || lost
	}
	return told, lost, ctx.Err()
}

// take reads events, inotify(7): a watch, what happened, a cookie, and the length of the name that follows. Each name is noticed once.
func (w *watched) take(events []byte, told *[]notice, seen map[string]int) (lost bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		number := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:]))
		name := strings.TrimRight(string(events[16:16+length]), "\x00")
		events = events[16+length:]
		switch dir, known := w.paths[number]; {
		case mask&unix.IN_Q_OVERFLOW != 0:
			lost = true
		case mask&unix.IN_IGNORED != 0:
			delete(w.paths, number)
		case known && name != "":
			at := path.Join(dir, name)
			i, again := seen[at]
			if !again {
				i = len(*told)
				seen[at] = i
				*told = append(*told, notice{path: at})
			}
			(*told)[i].made = (*told)[i].made || mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0
		}
	}
	return lost
}
