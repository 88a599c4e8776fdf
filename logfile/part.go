package logfile

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// part is one of a log's files, being read.
type part struct {
	path string
	file *os.File
	id   inode
	zip  *gzip.Reader // nil: not compressed
	at   int64        // how far the file, if not compressed, is read
	skip int          // entries that are not wanted
	buf  []byte
	rest []byte // of buf: read and not decoded
}

type inode struct{ dev, ino uint64 }

func inodeOf(f *os.File) inode {
	var st unix.Stat_t
	unix.Fstat(int(f.Fd()), &st)
	return inode{uint64(st.Dev), st.Ino}
}

func inodeAt(path string) inode {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return inode{uint64(st.Dev), st.Ino}
}

func openPart(path string) (*part, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: unix.EISDIR}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &part{path: path, file: f, id: inodeOf(f)}, nil
}

// open opens all files, newest first. Where the writer has moved them on meanwhile it begins again, so that none is there twice.
func (c Config) open() ([]*part, error) {
	for try := 0; ; try++ {
		parts, err := c.openOnce()
		if err != nil || steady(parts) || try == 10 {
			return parts, err
		}
		closeAll(parts)
	}
}

// openOnce goes from the newest to the oldest, as files move: none is missed.
func (c Config) openOnce() (parts []*part, err error) {
	p, err := c.openNewest()
	if err != nil {
		return nil, err
	}
	parts = append(parts, p)
	for i := 1; i < c.MaxFile; i++ {
		p, err := openPart(c.numbered(i))
		if errors.Is(err, fs.ErrNotExist) {
			p, err = openPart(c.numbered(i) + zipped)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			closeAll(parts)
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// openNewest waits a moment for the current file: between renaming the old one and making the new one there is none.
func (c Config) openNewest() (p *part, err error) {
	for range 20 {
		if p, err = openPart(c.File); !errors.Is(err, fs.ErrNotExist) || c.MaxSize == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return p, err
}

func steady(parts []*part) bool {
	for _, p := range parts {
		if inodeAt(p.path) != p.id {
			return false
		}
	}
	return true
}

func closeAll(parts []*part) {
	for _, p := range parts {
		p.file.Close()
	}
}

func (p *part) compressed() bool {
	return len(p.path) > len(zipped) && p.path[len(p.path)-len(zipped):] == zipped
}

// newest is what the header of a compressed file says of its newest entry.
func (p *part) newest() (time.Time, bool) {
	if !p.compressed() || p.unzip() != nil {
		return time.Time{}, false
	}
	var h header
	err := json.Unmarshal(p.zip.Extra, &h)
	return h.LastTime, err == nil && !h.LastTime.IsZero()
}

// unzip begins to decompress, or begins again.
func (p *part) unzip() (err error) {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	p.rest, p.zip = nil, nil
	p.zip, err = gzip.NewReader(p.file)
	if err == io.EOF { // not even a header
		err = io.ErrUnexpectedEOF
	}
	return err
}

// fill reads more; it reports io.EOF when at present there is no more.
func (p *part) fill() error {
	const more = 256 << 10
	p.buf = append(p.buf[:0], p.rest...)
	have := len(p.buf)
	if cap(p.buf)-have < more {
		p.buf = append(make([]byte, 0, 2*have+more), p.buf...)
	}
	n, err := p.read(p.buf[have:cap(p.buf)])
	p.buf = p.buf[:have+n]
	p.rest = p.buf
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

func (p *part) read(b []byte) (int, error) {
	if !p.compressed() {
		n, err := p.file.ReadAt(b, p.at)
		p.at += int64(n)
		return n, err
	}
	if p.zip == nil {
		if err := p.unzip(); err != nil {
			return 0, err
		}
	}
	return p.zip.Read(b)
}

func (p *part) size() int64 {
	info, err := p.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// rewound goes back to the beginning of a file that somebody has emptied.
func (p *part) rewound() {
	if p.size() < p.at && !p.compressed() {
		p.at, p.rest = 0, nil
	}
}

// last leaves out all but the last n entries and says how many there are.
func (p *part) last(f format, n int) (int, error) {
	if !p.compressed() {
		if offset, found, ok := f.tail(p.file, p.size(), n); ok {
			p.at = offset
			return found, nil
		}
	}
	count, err := p.count(f)
	p.skip = max(0, count-n)
	return count - p.skip, err
}

// count counts the entries, and goes back to the beginning.
func (p *part) count(f format) (n int, err error) {
	err = p.each(f, true, func(*Entry) error { n++; return nil }, func(int64) {})
	p.at, p.rest, p.zip = 0, nil, nil
	return n, err
}

// each calls do with the entries that are there, and skipped with the number of bytes that are none. With last, no more will come.
func (p *part) each(f format, last bool, do func(*Entry) error, skipped func(bytes int64)) error {
	var e Entry
	for end := false; ; {
		n, ok := f.decode(p.rest, end, &e)
		p.rest = p.rest[n:]
		switch {
		case ok && p.skip > 0:
			p.skip--
		case ok:
			if err := do(&e); err != nil {
				return err
			}
		case n > 0 && p.skip == 0:
			skipped(int64(n))
		}
		if n > 0 {
			continue
		}
		if end {
			return nil
		}
		err := p.fill()
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && !last:
			return nil
		case errors.Is(err, io.EOF):
			end = true
		case p.compressed(): // it is damaged, and ends here
			skipped(max(1, p.size()))
			return nil
		default:
			return err
		}
	}
}
