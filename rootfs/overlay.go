package rootfs

import (
	"fmt"
	"path/filepath"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// pageLimit is what mount(2) takes as data: one page, NUL included.
const pageLimit = 4096

// Check refuses what mount(2) could not take even with short names.
func (l *Layers) Check() error {
	if len(l.data(l.Lower)) >= pageLimit && len(l.data(l.short())) >= pageLimit {
		return fmt.Errorf("layers.json: the names of %d layers do not fit into the %d bytes that mount(2) takes", len(l.Lower), pageLimit)
	}
	return nil
}

// short are the layers' names as seen from the directory that holds them all.
func (l *Layers) short() []string {
	dir := common(l.Lower)
	var short []string
	for _, path := range l.Lower {
		rel, _ := filepath.Rel(dir, path) // dir is a parent of path
		short = append(short, rel)
	}
	return short
}

// mount compiles the overlay. Long lists of layers are made short by a change of directory: mount(2)'s data hold one page.
func (l *Layers) mount(b *program.Builder) {
	data := l.data(l.Lower)
	if len(data) >= pageLimit {
		b.Call(unix.SYS_CHDIR, common(l.Lower)).Why("stand among the layers: their full names do not fit into one page")
		data = l.data(l.short())
	}
	why := "lay the container's own writable directory over the image's layers, which stay as they are"
	if l.Upper == "" {
		why = "stack the image's layers, read-only"
	}
	b.Call(unix.SYS_MOUNT, "overlay", l.Mount, "overlay", 0, data).Why("%s", why)
}

// data is the option string, Documentation/filesystems/overlayfs.rst. A colon separates layers, a comma options; both can be escaped.
func (l *Layers) data(lower []string) string {
	escaped := make([]string, len(lower))
	for i, path := range lower {
		escaped[i] = strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
	}
	var s strings.Builder
	s.WriteString("lowerdir=" + strings.Join(escaped, ":"))
	if l.Upper != "" {
		comma := strings.NewReplacer(`\`, `\\`, `,`, `\,`)
		s.WriteString(",upperdir=" + comma.Replace(l.Upper) + ",workdir=" + comma.Replace(l.Work))
	}
	switch {
	case l.UserXattr:
		s.WriteString(",userxattr") // with it the kernel has the two below off, and takes no word on them
	case l.Upper != "":
		// Some kernels come with these on. Then a renamed directory, or a file whose owner changed, would be in upper as a mere
		// reference to a layer, of which commit could make no layer.
		s.WriteString(",redirect_dir=off,metacopy=off")
	}
	if l.Once {
		s.WriteString(",volatile")
	}
	return s.String()
}

// common is the longest directory that contains all paths.
func common(paths []string) string {
	dir := filepath.Dir(paths[0])
	for _, p := range paths[1:] {
		for dir != "/" && !strings.HasPrefix(p, dir+"/") {
			dir = filepath.Dir(dir)
		}
	}
	return dir
}
