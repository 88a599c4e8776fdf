package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What `cp` makes of its two paths is moby's archive package's: a trailing "/." means what is in a directory, a trailing "/" asserts
// one, and whether the destination exists decides whether the source comes into it or takes its name.

// resource is what is copied.
type resource struct {
	path   string
	dir    bool
	rename string // what it is called in the copy, when a link was followed; empty: as in path
}

// target is where it goes to.
type target struct {
	path        string
	exists, dir bool
}

// arrangement is the directory that the archive is extracted in, and the name that the resource has in it.
type arrangement struct{ dir, name string }

// arrange decides. Its errors are Docker's.
func arrange(what resource, to target) (arrangement, error) {
	dir, base := splitEntry(to.path)
	_, own := splitEntry(what.path)
	if what.rename != "" {
		own = what.rename
	}
	switch {
	case to.exists && to.dir:
		return arrangement{to.path, own}, nil
	case to.exists && what.dir:
		return arrangement{}, errors.New("cannot copy directory")
	case !to.exists && !what.dir && assertsDirectory(to.path):
		return arrangement{}, errors.New("no such directory")
	}
	return arrangement{dir, base}, nil
}

func assertsDirectory(path string) bool {
	return strings.HasSuffix(path, "/") || filepath.Base(path) == "."
}

// splitEntry splits a path into its directory and its last part, which is "." where the path ends with it.
func splitEntry(path string) (dir, base string) {
	clean := filepath.Clean(path)
	if filepath.Base(path) == "." {
		clean += "/."
	}
	return filepath.Dir(clean), filepath.Base(clean)
}

// absolutePath keeps the end that says something of a path.
func absolutePath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	return sameEnd(absolute, path), err
}

// sameEnd gives a cleaned path the end, "/." or "/", that the original had.
func sameEnd(clean, original string) string {
	if filepath.Base(clean) != "." && filepath.Base(original) == "." {
		clean = strings.TrimSuffix(clean, "/") + "/."
	}
	if !strings.HasSuffix(clean, "/") && strings.HasSuffix(original, "/") {
		clean += "/"
	}
	return clean
}

// linkTarget is where a link leads, seen from where it lies.
func linkTarget(link, target string) string {
	if filepath.IsAbs(target) {
		return target
	}
	dir, _ := splitEntry(link)
	return filepath.Join(dir, target)
}

// followed is a path whose links were followed, and the name that it had before, if that was another.
func followed(path, resolved string) (string, string) {
	if filepath.Base(path) == "." && filepath.Base(resolved) != "." {
		resolved += "/."
	}
	if strings.HasSuffix(path, "/") && !strings.HasSuffix(resolved, "/") {
		resolved += "/"
	}
	if filepath.Base(path) != filepath.Base(resolved) {
		return resolved, filepath.Base(path)
	}
	return resolved, ""
}

// localResource looks at what is copied into a container. Links on the way to it are followed; it itself if that is asked for.
func localResource(path string, follow bool) (resource, error) {
	var r resource
	if follow {
		resolved, err := filepath.EvalSymlinks(path)
		if err != nil {
			return r, err
		}
		r.path, r.rename = followed(path, resolved)
	} else {
		dir, base := filepath.Split(path)
		resolved, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return r, err
		}
		r.path = resolved + "/" + base
		if strings.HasSuffix(path, "/") && filepath.Base(path) != filepath.Base(r.path) {
			r.rename = filepath.Base(path)
		}
	}
	info, err := os.Lstat(r.path)
	if err != nil {
		return r, err
	}
	r.dir = info.IsDir()
	return r, nil
}

// localTarget looks at where a copy goes to on the host, which may be a link to what is to be made.
func localTarget(path string) (target, error) {
	at := path
	for range 11 { // as many links as Docker follows
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return missing(at)
		}
		if err != nil {
			return target{}, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return target{at, true, info.IsDir()}, nil
		}
		next, err := os.Readlink(at)
		if err != nil {
			return target{}, err
		}
		at = linkTarget(at, next)
	}
	return target{}, errors.New("too many symlinks in " + path)
}

// missing is a target to be made: the directory above must be there.
func missing(path string) (target, error) {
	dir, _ := splitEntry(path)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return target{path: path}, err
}
