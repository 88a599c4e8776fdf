package tiny

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// tailing is a tail under way: count from the end, or from the start when from is set.
type tailing struct {
	*call
	o       *options
	count   int64
	from    bool
	byBytes bool
	first   bool
	shown   string // whose heading was printed last
}

func tail(c *call) int {
	args := c.args
	for i, arg := range args { // tail +5
		if len(arg) > 1 && arg[0] == '+' && arg[1] >= '0' && arg[1] <= '9' && i == 0 {
			args = append([]string{"-n", arg}, args[1:]...)
		}
	}
	c.args = dashed(args)
	o, ok := c.options("n:c:s:fFqv", "lines=n", "bytes=c", "sleep-interval=s", "follow=f", "quiet=q", "verbose=v")
	if !ok {
		return 1
	}
	t := &tailing{call: c, o: o, first: true, byBytes: o.has('c')}
	word := o.value('n', "10")
	if t.byBytes {
		word = o.value('c', "")
	}
	t.from = strings.HasPrefix(word, "+")
	n, err := size(strings.TrimLeft(word, "+-"))
	if err != nil {
		return c.fail("invalid number '%s'", word)
	}
	t.count = n
	follow := o.has('f') || o.has('F')
	if len(o.rest) == 0 {
		o.rest = []string{"-"}
	}
	if seconds, err := strconv.ParseFloat(o.value('s', "1"), 64); err != nil || seconds < 0 {
		return c.fail("invalid number '%s'", o.value('s', ""))
	}
	var files []*followed
	for _, name := range o.rest {
		f := os.Stdin
		if name != "-" {
			if f, err = os.Open(name); err != nil {
				c.errorf("can't open '%s': %s", name, reason(err))
				if o.has('F') {
					files = append(files, &followed{name: name})
				}
				continue
			}
		}
		c.heading(o, name, &t.first)
		t.shown = name
		t.show(f)
		files = append(files, &followed{name, f})
	}
	if follow && len(files) > 0 {
		t.follow(files)
	}
	return c.bad
}

type followed struct {
	name string
	file *os.File
}

func (t *tailing) show(f *os.File) {
	if t.from {
		t.showFrom(f)
		return
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		t.seekBack(f, info.Size())
		return
	}
	var data []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := f.Read(buf)
		data = t.ending(append(data, buf[:n]...))
		if err != nil || n == 0 {
			break
		}
	}
	t.out.Write(data)
}

// ending drops what cannot be shown any more, so that an endless pipe does not fill the memory.
func (t *tailing) ending(data []byte) []byte {
	if t.byBytes {
		return data[max(0, int64(len(data))-t.count):]
	}
	kept := lastLines(data, int(t.count))
	if len(kept) < len(data)/2 {
		kept = append([]byte{}, kept...)
	}
	return kept
}

func (t *tailing) seekBack(f *os.File, end int64) {
	if t.byBytes {
		f.Seek(max(0, end-t.count), io.SeekStart)
		io.Copy(t.out, plain{f})
		return
	}
	step := int64(16 << 10)
	for start := end; ; step *= 4 {
		start = max(0, end-step)
		data := make([]byte, end-start)
		n, err := f.ReadAt(data, start)
		kept := lastLines(data[:n], int(t.count))
		if start == 0 || len(kept) < n || err != nil && err != io.EOF {
			t.out.Write(kept)
			f.Seek(start+int64(n), io.SeekStart)
			io.Copy(t.out, plain{f})
			return
		}
	}
}

func (t *tailing) showFrom(f *os.File) {
	skip := max(0, t.count-1)
	if t.byBytes {
		io.CopyN(io.Discard, plain{f}, skip)
		io.Copy(t.out, plain{f})
		return
	}
	lines(f, func(line []byte, last bool) bool {
		if skip > 0 {
			skip--
			return true
		}
		t.out.Write(line)
		if !last {
			t.out.WriteByte('\n')
		}
		return true
	})
}

func (t *tailing) follow(files []*followed) {
	pause := time.Second
	if seconds, err := strconv.ParseFloat(t.o.value('s', "1"), 64); err == nil && seconds > 0 {
		pause = time.Duration(seconds * float64(time.Second))
	}
	for {
		t.out.Flush()
		time.Sleep(pause)
		for _, f := range files {
			t.more(f)
		}
	}
}

func (t *tailing) more(f *followed) {
	if t.o.has('F') {
		f.reopen()
	}
	if f.file == nil {
		return
	}
	if info, err := f.file.Stat(); err == nil && info.Mode().IsRegular() {
		if at, err := f.file.Seek(0, io.SeekCurrent); err == nil && info.Size() < at {
			f.file.Seek(0, io.SeekStart) // it was truncated
		}
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := f.file.Read(buf)
		if n > 0 {
			if t.shown != f.name {
				t.heading(t.o, f.name, &t.first)
				t.shown = f.name
			}
			t.out.Write(buf[:n])
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// reopen follows the name: a rotated log is another file.
func (f *followed) reopen() {
	now, err := os.Stat(f.name)
	if err != nil {
		return
	}
	if f.file != nil {
		if old, err := f.file.Stat(); err == nil && os.SameFile(old, now) {
			return
		}
	}
	if file, err := os.Open(f.name); err == nil {
		if f.file != nil {
			f.file.Close()
		}
		f.file = file
	}
}
