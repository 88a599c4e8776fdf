package engine

import (
	"os"
	"path"

	"glassbox/archive"
)

// scaffolding is what a start makes in a container's tree to mount its own things on, where the image has nothing there. Docker keeps
// it in a layer apart, so that diff and commit do not show it; here it lies in the upper directory.
var scaffolding = []string{"dev/console", "dev/pts", "dev/shm", "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc", "proc", "sys"}

// scaffoldOf finds the names of the upper directory that are nothing but scaffolding.
func scaffoldOf(r *record) map[string]bool {
	found := map[string]bool{}
	below, d := tree(r.Lower), comparison{owners: archive.Owners(r.IDMap)}
	for _, name := range scaffolding {
		file := path.Join(r.place.Upper(), name)
		info, err := os.Lstat(file)
		if err != nil {
			continue
		}
		old, err := below.find(name)
		switch {
		case err != nil && info.Mode().IsRegular():
			found[name] = info.Size() == 0
		case info.IsDir() && (err != nil || !d.differs(info, file, &old) && !isOpaque(file)):
			found[name] = holdsOnly(file, name, found)
		}
	}
	return found
}

// holdsOnly tells that a directory holds nothing but what was found already.
func holdsOnly(dir, name string, found map[string]bool) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !found[name+"/"+e.Name()] {
			return false
		}
	}
	return true
}
