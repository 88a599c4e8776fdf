package engine

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"glassbox/monitor"

	"golang.org/x/sys/unix"
)

// What happens to a container's writable layer.
const (
	LiveNew      = "new"       // a name that no lower layer has, or that replaces one
	LiveCopyUp   = "copy-up"   // overlayfs has copied a lower layer's file here, because somebody opened it to change it
	LiveWhiteout = "whiteout"  // a mark that hides what lower layers have
	LiveOpaque   = "opaque"    // a directory that hides all that lower layers have in theirs
	LiveChange   = "change"    // of a file that was here
	LiveRemoved  = "removed"   // a name that was here
	LiveOverflow = "overflow"  // the kernel dropped notices: all was looked at again, and what was made and removed meanwhile was not seen
	LiveBlind    = "unwatched" // a directory cannot be watched, inotify(7): it is looked at again and again
)

// LiveEvent is one of them, as one sees it a moment later.
type LiveEvent struct {
	At        time.Time
	Kind      string
	Path      string     `json:",omitempty"`
	Directory bool       `json:",omitempty"`
	Gone      bool       `json:",omitempty"` // it was removed before one could look at it
	Size      int64      // of the file now
	Copied    int64      `json:",omitempty"` // bytes that overlayfs copied: all of the lower file
	Hidden    int64      `json:",omitempty"` // bytes of lower layers that nobody sees any more
	Names     int        `json:",omitempty"` // how many names that were
	Of        []string   `json:",omitempty"` // from which layers
	Total     LiveTotals // since the watching began
}

// LiveTotals count events, and their bytes. Directories that were copied up hold nothing, and are not counted.
type LiveTotals struct {
	New, CopiedUp, Whiteouts, Opaque, Changed, Removed int
	Copied, Hidden                                     int64
}

// LayersLive tells what happens to the writable layer of a container that runs, until it has ended or ctx is done, or tell returns an error. ready
// is called when nothing is missed any more.
func (e *Engine) LayersLive(ctx context.Context, ref string, ready func(*Layers), tell func(LiveEvent) error) error {
	r, err := e.Containers.load(ref)
	if err != nil {
		return err
	}
	s, err := e.Containers.state(r)
	if err != nil {
		return err
	}
	if s.Pid == 0 {
		return notRunning(r.ID)
	}
	out := &Layers{}
	lower := &stack{wanted: -1, out: out}
	out.stack = lower
	if err := e.containerLayers(out, r); err != nil {
		return err
	}
	lower.layers = out.Layers[:len(out.Layers)-1] // all but the writable one
	if err := lower.lay(); err != nil {
		return err
	}
	l := &liveLayer{lower: lower, tell: tell, now: &upperFile{}}
	if err := l.open(r.place.Upper()); err != nil {
		return err
	}
	defer l.close()
	if ready != nil {
		ready(out)
	}
	if err := l.follow(ctx, s.State); err != nil {
		return err
	}
	return l.last(func() bool { return there(r.place.Document()) })
}

// liveLayer follows an upper directory. What it holds is always looked at; what the kernel tells only says where to look.
type liveLayer struct {
	*watched
	lower *stack
	now   *upperFile // the upper directory, as it was seen last
	quiet bool       // nothing is told: the first look
	total LiveTotals
	left  []notice // what was told when the container had ended
	tell  func(LiveEvent) error
}

// upperFile is a name in the upper directory.
type upperFile struct {
	mode, uid, gid uint32 // mode 0: a whiteout
	inode          uint64
	size           int64
	changed        unix.Timespec
	copied, opaque bool
	names          map[string]*upperFile
}

func (f *upperFile) isDir() bool      { return f.mode&unix.S_IFMT == unix.S_IFDIR }
func (f *upperFile) isRegular() bool  { return f.mode&unix.S_IFMT == unix.S_IFREG }
func (f *upperFile) isWhiteout() bool { return f.mode == 0 }

// open watches the directory, and takes what it holds for known.
func (l *liveLayer) open(dir string) (err error) {
	if l.watched, err = watch(dir); err != nil {
		return err
	}
	l.now.names, l.quiet = map[string]*upperFile{}, true
	err = l.directory("/", l.now)
	l.quiet = false
	if err != nil {
		l.close()
	}
	return err
}

// Times between two looks: at everything, since writes to mapped memory tell nobody; at everything where directories cannot be watched; whether the
// container still runs; and how long notices are gathered, so that one that is written to all the time is told of once.
const (
	liveAll    = 2 * time.Second
	liveBlind  = 250 * time.Millisecond
	liveAlive  = 250 * time.Millisecond
	liveGather = 50 * time.Millisecond
)

// follow tells what happens as long as the process lives.
func (l *liveLayer) follow(ctx context.Context, process monitor.State) error {
	last := time.Now()
	for {
		told, lost, err := l.wait(ctx, liveAlive, liveGather)
		if err != nil {
			return errors.Join(l.look(told), err)
		}
		if !process.Alive() {
			l.left = told
			if lost {
				return l.event(LiveEvent{Kind: LiveOverflow})
			}
			return nil
		}
		every := liveAll
		if l.blind {
			every = liveBlind
		}
		if err := l.look(told); err != nil {
			return err
		}
		if lost {
			if err := l.event(LiveEvent{Kind: LiveOverflow}); err != nil {
				return err
			}
		}
		if lost || time.Since(last) >= every {
			if err := l.directory("/", l.now); err != nil {
				return err
			}
			last = time.Now()
		}
	}
}

// last tells what the container has done at its end. Whoever removes the container removes its files: that is none of its doing.
func (l *liveLayer) last(stays func() bool) error {
	var events []LiveEvent
	tell, total := l.tell, l.total
	l.tell = func(e LiveEvent) error {
		events = append(events, e)
		return nil
	}
	if err := errors.Join(l.look(l.left), l.directory("/", l.now)); err != nil {
		return err
	}
	l.tell, l.total = tell, total
	own := stays()
	for _, e := range events {
		if e.Kind == LiveRemoved && !own {
			continue
		}
		if err := l.event(e); err != nil {
			return err
		}
	}
	return nil
}

// look looks at what notices were about.
func (l *liveLayer) look(told []notice) error {
	for _, n := range told {
		dir, name := path.Split(n.path)
		parent := l.find(dir)
		if parent == nil {
			continue // its directory was removed, or is not known yet: then all of it will be looked at
		}
		if err := l.name(parent, path.Clean(dir), name, n.made); err != nil {
			return err
		}
	}
	return nil
}

// find is what is known of a directory; nil: nothing.
func (l *liveLayer) find(dir string) *upperFile {
	f := l.now
	for part := range strings.FieldsFuncSeq(dir, func(r rune) bool { return r == '/' }) {
		if f = f.names[part]; f == nil || !f.isDir() {
			return nil
		}
	}
	return f
}

// directory watches a directory, and looks at all that is in it or was.
func (l *liveLayer) directory(at string, f *upperFile) error {
	names, blind, err := l.list(at)
	if err != nil {
		return err
	}
	if blind && !l.told {
		l.told = true
		if err := l.tell(LiveEvent{At: time.Now(), Kind: LiveBlind, Path: at, Directory: true, Total: l.total}); err != nil {
			return err
		}
	}
	for known := range f.names {
		names = append(names, known)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := l.name(f, at, name, false); err != nil {
			return err
		}
		if c := f.names[name]; c != nil && c.isDir() {
			if err := l.directory(path.Join(at, name), c); err != nil {
				return err
			}
		}
	}
	return nil
}

// name looks at one name; made: the kernel has told that it was made.
func (l *liveLayer) name(parent *upperFile, dir, name string, made bool) error {
	at := path.Join(dir, name)
	is, err := l.describe(at)
	if err != nil {
		return err
	}
	was := parent.names[name]
	switch {
	case is == nil && was == nil && made:
		return l.event(LiveEvent{Kind: LiveNew, Path: at, Gone: true})
	case is == nil && was == nil:
		return nil
	case is == nil:
		delete(parent.names, name)
		return l.removed(at, was)
	}
	parent.names[name] = is
	if was != nil && was.inode == is.inode && was.isWhiteout() == is.isWhiteout() {
		is.names = was.names
		return l.changed(at, was, is)
	}
	if err := l.appeared(at, is); err != nil || !is.isDir() {
		return err
	}
	return l.directory(at, is)
}

// removed tells of a name that is gone, and of all that was known below it.
func (l *liveLayer) removed(at string, was *upperFile) error {
	for _, name := range slices.Sorted(maps.Keys(was.names)) {
		if err := l.removed(path.Join(at, name), was.names[name]); err != nil {
			return err
		}
	}
	return l.event(LiveEvent{Kind: LiveRemoved, Path: at, Directory: was.isDir(), Size: was.size})
}

// appeared tells of what is new under a name.
func (l *liveLayer) appeared(at string, is *upperFile) error {
	e := LiveEvent{Kind: LiveNew, Path: at, Directory: is.isDir(), Size: is.size}
	below := l.below(at)
	switch {
	case is.isWhiteout():
		e.Kind = LiveWhiteout
		l.hide(&e, below)
	case below == nil:
	case is.isDir() && is.opaque && below.isDir():
		e.Kind = LiveOpaque
		l.hide(&e, below)
	case is.copied:
		e.Kind, e.Of = LiveCopyUp, []string{l.lower.layers[below.layer].Name}
		if is.isRegular() {
			e.Copied = below.size
		}
	default:
		l.hide(&e, below)
	}
	return l.event(e)
}

// changed tells of what was changed in place.
func (l *liveLayer) changed(at string, was, is *upperFile) error {
	switch {
	case is.isDir() && is.opaque && !was.opaque:
		return l.appeared(at, is)
	case is.mode != was.mode, is.uid != was.uid, is.gid != was.gid,
		is.isRegular() && (is.size != was.size || is.changed != was.changed):
		return l.event(LiveEvent{Kind: LiveChange, Path: at, Directory: is.isDir(), Size: is.size})
	}
	return nil
}

// below is what lower layers show under a name; nil: nothing, or an opaque directory above hides it.
func (l *liveLayer) below(at string) *inode {
	upper, n := l.now, l.lower.root
	parts := strings.FieldsFunc(at, func(r rune) bool { return r == '/' })
	for i, part := range parts {
		if n = n.names[part].seen(); n == nil {
			return nil
		}
		if i == len(parts)-1 || upper == nil {
			continue
		}
		if upper = upper.names[part]; upper != nil && (upper.opaque || !upper.isDir()) || !n.isDir() {
			return nil
		}
	}
	return n
}

// hide counts what nobody sees any more: of a file with several names its bytes once.
func (l *liveLayer) hide(e *LiveEvent, below *inode) {
	links := map[*hardLink]bool{}
	below.each(func(n *inode) {
		e.Names++
		if name := l.lower.layers[n.layer].Name; !slices.Contains(e.Of, name) {
			e.Of = append(e.Of, name)
		}
		if n.link == nil || !links[n.link] {
			e.Hidden += n.size
		}
		if n.link != nil {
			links[n.link] = true
		}
	})
}

// event counts and tells.
func (l *liveLayer) event(e LiveEvent) error {
	if l.quiet {
		return nil
	}
	t := &l.total
	switch e.Kind {
	case LiveNew:
		t.New++
	case LiveCopyUp:
		if !e.Directory {
			t.CopiedUp++
		}
	case LiveWhiteout:
		t.Whiteouts++
	case LiveOpaque:
		t.Opaque++
	case LiveChange:
		t.Changed++
	case LiveRemoved:
		t.Removed++
	}
	t.Copied, t.Hidden = t.Copied+e.Copied, t.Hidden+e.Hidden
	e.At, e.Total = time.Now(), *t
	return l.tell(e)
}
