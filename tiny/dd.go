package tiny

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dding is a dd: a buffer of the block size that the kernel fills, so that bs=100M really uses 100 MB.
type dding struct {
	*call
	in, out               *os.File
	ibs, obs, count       int64
	skip, seek            int64
	conv                  map[string]bool
	fullIn, partIn        int64
	fullOut, partOut      int64
	bytes                 int64
	status                string
	countBytes, skipBytes bool
	fullBlocks            bool
}

func dd(c *call) int {
	d := &dding{call: c, in: os.Stdin, out: os.Stdout, ibs: 512, obs: 512, count: -1, conv: map[string]bool{}}
	var from, to string
	for _, arg := range c.args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			if arg == "--help" {
				return c.help()
			}
			return c.misused("unknown operand '%s'", arg)
		}
		switch key {
		case "if":
			from = value
			continue
		case "of":
			to = value
			continue
		case "conv":
			for word := range strings.SplitSeq(value, ",") {
				switch word {
				case "notrunc", "sync", "noerror", "fsync", "swab", "ucase", "lcase":
				default:
					return c.misused("invalid argument '%s' to 'conv'", word)
				}
				d.conv[word] = true
			}
			continue
		case "status":
			if value != "none" && value != "noxfer" {
				return c.misused("invalid argument '%s' to 'status'", value)
			}
			d.status = value
			continue
		case "iflag":
			for word := range strings.SplitSeq(value, ",") {
				switch word {
				case "count_bytes":
					d.countBytes = true
				case "skip_bytes":
					d.skipBytes = true
				case "fullblock":
					d.fullBlocks = true
				default:
					return c.misused("invalid argument '%s' to 'iflag'", word)
				}
			}
			continue
		case "oflag":
			if value != "append" {
				return c.misused("invalid argument '%s' to 'oflag'", value)
			}
			d.conv["append"] = true
			continue
		}
		n, err := blockSize(value)
		if err != nil || n < 0 || n == 0 && strings.HasSuffix(key, "bs") {
			return c.fail("invalid number '%s'", value)
		}
		switch key {
		case "bs":
			d.ibs, d.obs = n, n
		case "ibs":
			d.ibs = n
		case "obs":
			d.obs = n
		case "count":
			d.count = n
		case "skip", "iseek":
			d.skip = n
		case "seek", "oseek":
			d.seek = n
		default:
			return c.misused("unknown operand '%s'", arg)
		}
	}
	return d.run(from, to)
}

// blockSize is size with products: 2x1024.
func blockSize(text string) (int64, error) {
	product := int64(1)
	for part := range strings.SplitSeq(text, "x") {
		n, err := size(part)
		if err != nil {
			return 0, err
		}
		product *= n
	}
	return product, nil
}

func (d *dding) run(from, to string) int {
	var err error
	if from != "" {
		if d.in, err = os.Open(from); err != nil {
			return d.fail("can't open '%s': %s", from, reason(err))
		}
	}
	if to != "" {
		flags := os.O_WRONLY | os.O_CREATE
		if d.conv["append"] {
			flags |= os.O_APPEND
		}
		if d.out, err = os.OpenFile(to, flags, 0o666); err != nil {
			return d.fail("can't open '%s': %s", to, reason(err))
		}
		if !d.conv["notrunc"] {
			if info, failure := d.out.Stat(); failure == nil && info.Mode().IsRegular() {
				if err := d.out.Truncate(d.seek * d.obs); err != nil {
					return d.fail("%s: %s", to, reason(err))
				}
			}
		}
	}
	start := time.Now()
	code := d.position()
	if code == 0 {
		code = d.transfer(from, to)
	}
	if d.conv["fsync"] {
		d.out.Sync()
	}
	if to != "" {
		if err := d.out.Close(); err != nil && code == 0 {
			code = d.fail("%s: %s", to, reason(err))
		}
	}
	d.report(time.Since(start))
	return code
}

func (d *dding) position() int {
	if d.skip > 0 {
		n := d.skip * d.ibs
		if d.skipBytes {
			n = d.skip
		}
		if _, err := d.in.Seek(n, io.SeekCurrent); err != nil {
			io.CopyN(io.Discard, plain{d.in}, n)
		}
	}
	if d.seek > 0 {
		if _, err := d.out.Seek(d.seek*d.obs, io.SeekCurrent); err != nil {
			return d.fail("%s", reason(err))
		}
	}
	return 0
}

func (d *dding) transfer(from, to string) int {
	buf := make([]byte, d.ibs)
	var pending []byte
	for d.count < 0 || d.countBytes && d.bytes < d.count || !d.countBytes && d.fullIn+d.partIn < d.count {
		want := buf
		if d.countBytes {
			want = buf[:min(d.ibs, d.count-d.bytes)]
		}
		n, err := d.read(want)
		if n == 0 {
			if err == nil || err == io.EOF {
				break
			}
			d.errorf("%s: %s", from, reason(err))
			if d.conv["noerror"] {
				continue
			}
			return 1
		}
		if int64(n) == d.ibs {
			d.fullIn++
		} else {
			d.partIn++
		}
		block := d.converted(buf, n)
		if d.ibs == d.obs {
			if code := d.write(block, to); code != 0 {
				return code
			}
			continue
		}
		pending = append(pending, block...)
		for int64(len(pending)) >= d.obs {
			if code := d.write(pending[:d.obs], to); code != 0 {
				return code
			}
			pending = pending[d.obs:]
		}
	}
	if len(pending) > 0 {
		return d.write(pending, to)
	}
	return 0
}

// read is one read(2), or with iflag=fullblock as many as fill the block.
func (d *dding) read(block []byte) (int, error) {
	if !d.fullBlocks {
		return d.in.Read(block)
	}
	n, err := io.ReadFull(d.in, block)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

func (d *dding) converted(buf []byte, n int) []byte {
	if d.conv["sync"] {
		clear(buf[n:])
		n = len(buf)
	}
	block := buf[:n]
	for i := 0; d.conv["swab"] && i+1 < n; i += 2 {
		block[i], block[i+1] = block[i+1], block[i]
	}
	for i, b := range block {
		if d.conv["ucase"] && b >= 'a' && b <= 'z' || d.conv["lcase"] && b >= 'A' && b <= 'Z' {
			block[i] ^= 0x20
		}
	}
	return block
}

func (d *dding) write(block []byte, to string) int {
	n, err := d.out.Write(block)
	d.bytes += int64(n)
	switch {
	case int64(n) == d.obs:
		d.fullOut++
	case n > 0:
		d.partOut++
	}
	if err != nil {
		if to == "" {
			return d.fail("write error: %s", reason(err))
		}
		return d.fail("error writing '%s': %s", to, reason(err))
	}
	return 0
}

func (d *dding) report(took time.Duration) {
	if d.status == "none" {
		return
	}
	fmt.Fprintf(d.err, "%d+%d records in\n%d+%d records out\n", d.fullIn, d.partIn, d.fullOut, d.partOut)
	if d.status == "noxfer" {
		return
	}
	rate := float64(d.bytes) / max(took.Seconds(), 1e-6)
	fmt.Fprintf(d.err, "%d bytes (%sB) copied, %f seconds, %sB/s\n", d.bytes, human(d.bytes), took.Seconds(), human(int64(rate)))
}

// df

type filesystem struct{ device, kind, dir string }

func filesystems() (list []filesystem) {
	data, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Fields(line); len(f) >= 3 {
			list = append(list, filesystem{unoctal(f[0]), f[2], unoctal(f[1])})
		}
	}
	return list
}

// unoctal reads the \040 that /proc/mounts writes for a space (proc_pid_mounts(5)).
func unoctal(text string) string {
	for _, pair := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

func df(c *call) int {
	o, ok := c.options("hkmTiPat:", "human-readable=h", "print-type=T", "inodes=i")
	if !ok {
		return 1
	}
	list := filesystems()
	all := len(o.rest) == 0
	if !all {
		var chosen []filesystem
		for _, name := range o.rest {
			fs, err := mountOf(name, list)
			if err != nil {
				c.errorf("%s: %s", name, reason(err))
				continue
			}
			chosen = append(chosen, fs)
		}
		list = chosen
	}
	unit, scale := "1K-blocks", o.last("hkm")
	switch {
	case scale == 'm':
		unit = "1M-blocks"
	case o.has('P'):
		unit = "1024-blocks"
	}
	kind := ""
	if o.has('T') {
		kind = "Type       "
	}
	if o.has('i') {
		c.printf("Filesystem           %s   Inodes      Used Available Use%% Mounted on\n", kind)
	} else if scale == 'h' {
		c.printf("Filesystem           %s     Size      Used Available Use%% Mounted on\n", kind)
	} else if o.has('P') {
		c.printf("Filesystem           %s%s    Used Available Capacity Mounted on\n", kind, unit)
	} else {
		c.printf("Filesystem           %s%s       Used Available Use%% Mounted on\n", kind, unit)
	}
	seen := map[string]bool{}
	for i := len(list) - 1; i >= 0; i-- { // what is mounted over hides what is below
		if all && seen[list[i].dir] {
			list[i].dir = ""
		}
		seen[list[i].dir] = true
	}
	for _, fs := range list {
		if fs.dir != "" && (o.value('t', fs.kind) == fs.kind) {
			c.usageOf(fs, o, all)
		}
	}
	return c.bad
}

func mountOf(name string, list []filesystem) (best filesystem, err error) {
	path, err := canonical(name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return best, err
	}
	for _, fs := range list {
		if path == fs.dir || strings.HasPrefix(path, strings.TrimRight(fs.dir, "/")+"/") {
			if len(fs.dir) >= len(best.dir) {
				best = fs
			}
		}
	}
	return best, nil
}

func (c *call) usageOf(fs filesystem, o *options, all bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(fs.dir, &st); err != nil {
		if err != unix.EACCES && err != unix.ENOENT {
			c.errorf("%s: %s", fs.dir, reason(err))
		}
		return
	}
	if st.Blocks == 0 && all && !o.has('a') {
		return
	}
	if fs.device == "rootfs" && all {
		return
	}
	total, free, avail := st.Blocks, st.Bfree, st.Bavail
	block := uint64(st.Bsize)
	if st.Frsize > 0 {
		block = uint64(st.Frsize)
	}
	if o.has('i') {
		total, free, avail, block = st.Files, st.Ffree, st.Ffree, 1024
	}
	used := total - free
	percent := "0%"
	if used+avail > 0 {
		percent = fmt.Sprintf("%d%%", (used*100+(used+avail)/2)/(used+avail))
	}
	shown := func(n uint64) string {
		bytes := n * block
		switch scale := o.last("hkm"); {
		case scale == 'h' && o.has('i'):
			return human(int64(n))
		case scale == 'h':
			return human(int64(bytes))
		case scale == 'm' && !o.has('i'):
			return fmt.Sprint((bytes + 1<<19) >> 20)
		}
		return fmt.Sprint((bytes + 512) >> 10)
	}
	device := fs.device
	if len(device) > 20 && !o.has('P') {
		c.printf("%s\n%20s", device, "")
	} else {
		c.printf("%-20s", device)
	}
	if o.has('T') {
		c.printf(" %-10s", fs.kind)
	}
	c.printf(" %9s %9s %9s %4s %s\n", shown(total), shown(used), shown(avail), percent, fs.dir)
}
