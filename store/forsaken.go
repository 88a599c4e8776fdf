package store

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Places are the directories that hold documents.
func (r Root) Places() []string {
	all := []string{r.Data, r.Run, r.Images(), r.Images() + "/kept", r.Layers(), r.Layers() + "/chain", r.Build().Steps(), r.Build().LastBuilds(),
		r.Labs().dir}
	all = append(all, below(r.Build().Mount(""))...)
	for _, parent := range []string{r.containers(), r.networks(), r.volumes()} {
		all = append(all, below(parent)...)
	}
	for _, parent := range []string{"containers", "networks", "volumes"} {
		for _, dir := range below(filepath.Join(r.Run, parent)) {
			all = append(all, dir)
			if parent == "networks" {
				all = append(all, dir+"/endpoints")
			}
		}
	}
	return all
}

func below(parent string) []string {
	all, _ := names(parent) //nolint:errcheck // what cannot be listed has nothing to show
	for i, name := range all {
		all[i] = filepath.Join(parent, name)
	}
	return all
}

// writing is longer than Replace takes to write a document.
const writing = time.Minute

// Forsaken: the file is a document's next version that Replace did not get to put in its place, because its process was killed.
func Forsaken(path string) bool {
	_, maker, is := strings.Cut(filepath.Base(path), ".new")
	pid, serial, numbered := strings.Cut(maker, "-")
	n, err := strconv.Atoi(pid)
	if _, err2 := strconv.Atoi(serial); !is || !numbered || err != nil || err2 != nil {
		return false
	}
	if unix.Kill(n, 0) == unix.ESRCH {
		return true
	}
	info, err := os.Lstat(path)
	return err == nil && time.Since(info.ModTime()) > writing
}
