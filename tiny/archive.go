package tiny

import (
	"archive/tar"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func sum(c *call) int {
	o, ok := c.options("csw", "check=c", "status=s")
	if !ok {
		return 1
	}
	if o.has('c') {
		return c.checkSums(o)
	}
	if letter := o.last("sw"); letter != 0 {
		return c.fail("-%c is meaningful only with -c", letter)
	}
	return c.eachOpened(o.rest, func(name string, r io.Reader) {
		text, err := c.digest(r)
		if err != nil {
			c.errorf("can't read '%s': %s", name, reason(err))
			return
		}
		c.print(text, "  ", name, "\n")
	})
}

func (c *call) digest(r io.Reader) (string, error) {
	var h hash.Hash
	switch c.name {
	case "md5sum":
		h = md5.New()
	case "sha1sum":
		h = sha1.New()
	default:
		h = sha256.New()
	}
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

func (c *call) checkSums(o *options) int {
	failed, total := 0, 0
	c.eachOpened(o.rest, func(_ string, r io.Reader) {
		lines(r, func(line []byte, _ bool) bool {
			want, name, ok := strings.Cut(string(line), " ")
			total++
			if !ok || len(name) < 2 {
				failed++
				if o.has('w') {
					c.errorf("invalid format")
				}
				return true
			}
			name = name[1:]
			f, err := os.Open(name)
			result := "FAILED"
			if err != nil {
				c.errorf("can't open '%s': %s", name, reason(err))
			} else {
				if text, err := c.digest(f); err == nil && strings.EqualFold(text, want) {
					result = "OK"
				}
				f.Close()
			}
			if result != "OK" {
				failed++
			}
			if !o.has('s') {
				c.print(name, ": ", result, "\n")
			}
			return true
		})
	})
	if failed > 0 && !o.has('s') {
		c.errorf("WARNING: %d of %d computed checksums did NOT match", failed, total)
	}
	if failed > 0 {
		return 1
	}
	return c.bad
}

func gzips(c *call) int {
	// -n asks for what is done anyway: neither name nor time is stored in the file.
	spec := map[string]string{"gzip": "cdfktn123456789", "gunzip": "cdfkt", "zcat": "cdt"}[c.name]
	o, ok := c.options(spec, "stdout=c", "decompress=d", "force=f", "keep=k", "test=t")
	if !ok {
		return 1
	}
	level := gzip.DefaultCompression
	for _, opt := range o.order {
		if opt.letter >= '1' && opt.letter <= '9' {
			level = int(opt.letter - '0')
		}
	}
	unpack := c.name != "gzip" || o.has('d') || o.has('t')
	through := func(r io.Reader, w io.Writer) error {
		if unpack {
			return gunzip(r, w)
		}
		z, err := gzip.NewWriterLevel(w, level)
		if err == nil {
			_, err = io.Copy(z, r)
		}
		if err == nil {
			err = z.Close()
		}
		return err
	}
	if len(o.rest) == 0 {
		o.rest = []string{"-"}
	}
	if !unpack && isTerminal(1) && !o.has('f') && (o.has('c') || slices.Contains(o.rest, "-")) {
		return c.fail("compressed data not written to terminal, use -f to force it")
	}
	for _, name := range o.rest {
		if name != "-" && !o.has('c') && !o.has('t') && c.name != "zcat" {
			c.gzipFile(name, unpack, o, through)
			continue
		}
		c.eachOpened([]string{name}, func(name string, r io.Reader) {
			w := io.Writer(c.out)
			if o.has('t') {
				w = io.Discard
			}
			if err := through(r, w); err != nil {
				c.errorf("%s: %s", name, gzipReason(err))
			}
		})
	}
	return c.bad
}

func gunzip(r io.Reader, w io.Writer) error {
	z, err := gzip.NewReader(r)
	if err == nil {
		_, err = io.Copy(w, z)
	}
	return err
}

func gzipReason(err error) string {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, io.EOF):
		return "invalid magic"
	case errors.Is(err, gzip.ErrChecksum):
		return "crc error"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected end of file"
	}
	return reason(err)
}

func (c *call) gzipFile(name string, unpack bool, o *options, through func(io.Reader, io.Writer) error) {
	to := name + ".gz"
	if unpack {
		switch {
		case strings.HasSuffix(name, ".tgz"):
			to = strings.TrimSuffix(name, ".tgz") + ".tar"
		case strings.HasSuffix(name, ".gz"):
			to = strings.TrimSuffix(name, ".gz")
		default:
			c.errorf("%s: unknown suffix - ignored", name)
			return
		}
	}
	in, err := os.Open(name)
	if err != nil {
		c.errorf("%s: %s", name, reason(err))
		return
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		c.errorf("%s: not a regular file - ignored", name)
		return
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.has('f') {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	out, err := os.OpenFile(to, flags, info.Mode().Perm())
	if err != nil {
		c.errorf("can't open '%s': %s", to, reason(err))
		return
	}
	err = through(in, out)
	if failure := out.Close(); err == nil {
		err = failure
	}
	if err != nil {
		os.Remove(to)
		c.errorf("%s: %s", name, gzipReason(err))
		return
	}
	if !o.has('k') {
		os.Remove(name)
	}
}

// taring is a tar under way.
type taring struct {
	*call
	o        *options
	names    *names
	links    map[inode]string
	excluded []string
}

func tarball(c *call) int {
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.args = append([]string{"-" + c.args[0]}, c.args[1:]...)
		c.args = oldStyle(c.args)
	}
	o, ok := c.options("cxtzvkOphmoaf:C:X:T:", "create=c", "extract=x", "list=t", "gzip=z", "verbose=v", "file=f", "directory=C", "exclude=E:",
		"exclude-from=X", "files-from=T", "to-stdout=O", "no-same-owner=o", "numeric-owner=N", "dereference=h", "auto-compress=a")
	if !ok {
		return 1
	}
	t := &taring{call: c, o: o, links: map[inode]string{}, excluded: o.values('E')}
	var err error
	for _, name := range o.values('X') {
		var lines []string
		if lines, err = linesOf(name); err != nil {
			return c.fail("can't open '%s': %s", name, reason(err))
		}
		t.excluded = append(t.excluded, lines...)
	}
	for _, name := range o.values('T') {
		var lines []string
		if lines, err = linesOf(name); err != nil {
			return c.fail("can't open '%s': %s", name, reason(err))
		}
		o.rest = append(o.rest, lines...)
	}
	switch {
	case o.has('c'):
		err = t.create()
	case o.has('x'), o.has('t'):
		err = t.read()
	default:
		return c.misused("must specify one of -c, -x, -t")
	}
	if err != nil {
		return c.fail("%s", gzipReason(err))
	}
	return c.bad
}

// oldStyle moves the values of `tar czf FILE` behind their letters: the letters come first, their values after, in order.
func oldStyle(args []string) []string {
	var words []string
	rest := args[1:]
	for _, letter := range args[0][1:] {
		words = append(words, "-"+string(letter))
		if strings.ContainsRune("fCXT", letter) && len(rest) > 0 {
			words = append(words, rest[0])
			rest = rest[1:]
		}
	}
	return append(words, rest...)
}

// linesOf are the lines of a file that are not empty.
func linesOf(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), err
}

func (t *taring) create() error {
	if len(t.o.rest) == 0 {
		return errors.New("empty archive")
	}
	var out io.Writer = t.out
	if name := t.o.value('f', "-"); name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return errors.New("can't open '" + name + "': " + reason(err))
		}
		defer f.Close()
		out = f
	}
	if dir := t.o.value('C', ""); dir != "" {
		if err := unix.Chdir(dir); err != nil {
			return errors.New("can't change directory to '" + dir + "': " + reason(err))
		}
	}
	var zip *gzip.Writer
	name := t.o.value('f', "-")
	if t.o.has('z') || t.o.has('a') && (strings.HasSuffix(name, "gz")) {
		zip = gzip.NewWriter(out)
		out = zip
	}
	w := tar.NewWriter(out)
	t.names = loadNames(t.o.has('N'))
	for _, name := range t.o.rest {
		t.add(w, strings.TrimRight(name, "/"))
	}
	err := w.Close()
	if zip != nil && err == nil {
		err = zip.Close()
	}
	return err
}

func (t *taring) add(w *tar.Writer, name string) {
	if name == "" {
		name = "/"
	}
	for _, pattern := range t.excluded {
		if glob(pattern, lastPart(name)) || glob(pattern, name) {
			return
		}
	}
	info, err := os.Lstat(name)
	if t.o.has('h') && err == nil {
		info, err = os.Stat(name)
	}
	if err != nil {
		t.errorf("%s: %s", name, reason(err))
		return
	}
	if info.Mode()&os.ModeSocket != 0 {
		return
	}
	target, _ := os.Readlink(name)
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		t.errorf("%s: %s", name, reason(err))
		return
	}
	h.Name = strings.TrimLeft(name, "/")
	if info.IsDir() {
		h.Name += "/"
	}
	h.Uname, h.Gname = t.names.users[h.Uid], t.names.groups[h.Gid]
	t.link(h, info)
	if t.o.has('v') {
		t.verbose(h)
	}
	if h.Name != "/" {
		err = w.WriteHeader(h)
	}
	if err == nil && h.Typeflag == tar.TypeReg {
		err = t.body(w, name)
	}
	if err != nil {
		t.errorf("%s: %s", name, reason(err))
		return
	}
	if info.IsDir() {
		entries, err := os.ReadDir(name)
		if err != nil {
			t.errorf("%s: %s", name, reason(err))
		}
		for _, entry := range entries {
			t.add(w, strings.TrimSuffix(name, "/")+"/"+entry.Name())
		}
	}
}

func (t *taring) link(h *tar.Header, info os.FileInfo) {
	var st unix.Stat_t
	if h.Typeflag != tar.TypeReg || unix.Lstat(h.Name, &st) != nil && unix.Lstat("/"+h.Name, &st) != nil || st.Nlink < 2 {
		return
	}
	key := inode{uint64(st.Dev), st.Ino}
	if first, ok := t.links[key]; ok {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
	} else {
		t.links[key] = h.Name
	}
}

func (t *taring) body(w *tar.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func (t *taring) verbose(h *tar.Header) {
	to := t.err
	if !t.o.has('c') || t.o.has('f') && t.o.value('f', "-") != "-" {
		t.print(h.Name, "\n")
		return
	}
	io.WriteString(to, h.Name+"\n")
}

func (t *taring) read() error {
	var in io.Reader = t.in
	if name := t.o.value('f', "-"); name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return errors.New("can't open '" + name + "': " + reason(err))
		}
		defer f.Close()
		in = f
	}
	peek := newPeeker(in)
	in = peek
	if peek.gzipped() || t.o.has('z') {
		z, err := gzip.NewReader(peek)
		if err != nil {
			return err
		}
		in = z
	}
	if dir := t.o.value('C', ""); dir != "" {
		if err := unix.Chdir(dir); err != nil {
			return errors.New("can't change directory to '" + dir + "': " + reason(err))
		}
	}
	r := tar.NewReader(in)
	found := map[string]bool{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.New("invalid tar magic or short read: " + reason(err))
		}
		if pattern, ok := t.wanted(h.Name); ok {
			found[pattern] = true
			if err := t.take(r, h); err != nil {
				return err
			}
		}
	}
	for _, name := range t.o.rest {
		if !found[name] {
			t.errorf("%s: not found in archive", name)
		}
	}
	return nil
}

type peeker struct {
	io.Reader
	head []byte
}

func newPeeker(r io.Reader) *peeker {
	head := make([]byte, 2)
	n, _ := io.ReadFull(r, head)
	return &peeker{io.MultiReader(strings.NewReader(string(head[:n])), r), head[:n]}
}

func (p *peeker) gzipped() bool { return len(p.head) == 2 && p.head[0] == 0x1f && p.head[1] == 0x8b }

func (t *taring) wanted(name string) (string, bool) {
	for _, pattern := range t.excluded {
		if glob(pattern, strings.TrimRight(name, "/")) || glob(pattern, lastPart(name)) {
			return "", false
		}
	}
	if len(t.o.rest) == 0 {
		return "", true
	}
	for _, pattern := range t.o.rest {
		plain := strings.TrimRight(pattern, "/")
		if strings.TrimRight(name, "/") == plain || strings.HasPrefix(name, plain+"/") || glob(pattern, strings.TrimRight(name, "/")) {
			return pattern, true
		}
	}
	return "", false
}

func (t *taring) take(r io.Reader, h *tar.Header) error {
	if t.o.has('t') {
		if t.o.has('v') {
			t.long(h)
		} else {
			t.print(h.Name, "\n")
		}
		return nil
	}
	if t.o.has('v') {
		t.print(h.Name, "\n")
	}
	if t.o.has('O') {
		_, err := io.Copy(t.out, r)
		return err
	}
	if err := t.extract(r, h); err != nil {
		t.errorf("can't create '%s': %s", h.Name, reason(err))
	}
	return nil
}

func (t *taring) long(h *tar.Header) {
	owner := func(name string, id int) string {
		if name == "" || t.o.has('N') {
			return strconv.Itoa(id)
		}
		return name
	}
	mode := uint32(h.Mode & 0o7777)
	kinds := map[byte]uint32{tar.TypeReg: unix.S_IFREG, tar.TypeDir: unix.S_IFDIR, tar.TypeSymlink: unix.S_IFLNK, tar.TypeChar: unix.S_IFCHR,
		tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO, tar.TypeLink: unix.S_IFREG}
	t.printf("%s %s/%s %9d %s %s", modeText(mode|kinds[h.Typeflag]), owner(h.Uname, h.Uid), owner(h.Gname, h.Gid), h.Size,
		h.ModTime.Format("2006-01-02 15:04:05"), h.Name)
	switch h.Typeflag {
	case tar.TypeSymlink:
		t.print(" -> ", h.Linkname)
	case tar.TypeLink:
		t.print(" link to ", h.Linkname)
	}
	t.print("\n")
}

var errUnsafe = errors.New("name leads out of the directory")

// extract makes one member below the working directory. A name with .. and a path through a symbolic link that the archive
// itself brought are refused: os.Root follows no link out of it.
func (t *taring) extract(r io.Reader, h *tar.Header) error {
	name := path.Clean(strings.TrimLeft(h.Name, "/"))
	if name == ".." || strings.HasPrefix(name, "../") {
		return errUnsafe
	}
	root, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer root.Close()
	if parent := path.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeDir {
		if _, err := root.Lstat(name); err == nil {
			if t.o.has('k') {
				return nil
			}
			if err := root.Remove(name); err != nil {
				return err
			}
		}
	}
	mode := os.FileMode(h.Mode & 0o777)
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if failure := f.Close(); err == nil {
			err = failure
		}
		if err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		t.own(root, name, h)
		return nil
	case tar.TypeLink:
		return root.Link(path.Clean(strings.TrimLeft(h.Linkname, "/")), name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return node(root, name, h)
	default:
		return nil
	}
	t.own(root, name, h)
	if os.Geteuid() != 0 && !t.o.has('p') {
		mask := unix.Umask(0)
		unix.Umask(mask)
		mode &^= os.FileMode(mask)
	}
	root.Chmod(name, mode|special(h.Mode))
	if !t.o.has('m') {
		root.Chtimes(name, h.ModTime, h.ModTime)
	}
	return nil
}

// own gives a member its owner, by number: the names of the machine that packed it are not asked.
func (t *taring) own(root *os.Root, name string, h *tar.Header) {
	if os.Geteuid() == 0 && !t.o.has('o') {
		root.Lchown(name, h.Uid, h.Gid)
	}
}

func special(mode int64) (bits os.FileMode) {
	for _, pair := range []struct {
		bit  int64
		mode os.FileMode
	}{{unix.S_ISUID, os.ModeSetuid}, {unix.S_ISGID, os.ModeSetgid}, {unix.S_ISVTX, os.ModeSticky}} {
		if mode&pair.bit != 0 {
			bits |= pair.mode
		}
	}
	return bits
}

func node(root *os.Root, name string, h *tar.Header) error {
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	return unix.Mknodat(int(dir.Fd()), filepath.Base(name), kind|uint32(h.Mode&0o7777), int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}
