package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/engine"
	"glassbox/image"
	"glassbox/test/need"
	"glassbox/test/script"
	"glassbox/test/world"

	"github.com/docker/docker/api/types/filters"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestRealSessions runs the scripts of testdata/real with the real engine, each on a store of its own that holds the
// image bb: busybox.
func TestRealSessions(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	busybox := need.Program(t, "busybox")
	runtime := world.Dir() + "/glassbox/glassrun"
	scripts, err := filepath.Glob("testdata/real/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		// One after the other: each has a store of its own, but there is one network.
		t.Run(filepath.Base(script), func(t *testing.T) { playReal(t, script, runtime, busybox) })
	}
}

func playReal(t *testing.T, session, runtime, busybox string) {
	testscript.Run(t, testscript.Params{
		Files:               []string{session},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": script.Code},
		Setup: func(e *testscript.Env) error {
			data, run := e.WorkDir+"/.data", e.WorkDir+"/.run"
			e.Setenv("GLASSBOX_ROOT", data)
			e.Setenv("GLASSBOX_RUN", run)
			e.Setenv("GLASSBOX_GLASSRUN", runtime)
			e.Setenv("DOCKER_CONFIG", e.WorkDir+"/docker")
			e.Defer(func() { removeAll(t, data, run) })
			return importBusybox(data, busybox)
		},
	})
}

// removeAll ends what a script left running, also after it failed.
func removeAll(t *testing.T, data, run string) {
	t.Setenv("GLASSBOX_ROOT", data)
	t.Setenv("GLASSBOX_RUN", run)
	e, err := engine.Open()
	if err != nil {
		t.Error(err)
		return
	}
	list, err := e.Containers.List(true, -1, false, filters.NewArgs())
	if err != nil {
		t.Error(err)
	}
	for _, c := range list {
		if err := e.Containers.Remove(context.Background(), c.ID, true, true); err != nil && !isNotFound(err) {
			t.Errorf("removing %s: %v", c.Names, err)
		}
	}
}

// importBusybox makes the image bb.
func importBusybox(data, busybox string) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, mode int64, body string, kind byte, link string) {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: int64(len(body)), Linkname: link}))
		_, e := w.Write([]byte(body))
		err = errors.Join(err, e)
	}
	for _, dir := range []string{"bin", "etc", "tmp", "root"} {
		add(dir, 0o755, "", tar.TypeDir, "")
	}
	add("bin/busybox", 0o755, string(program), tar.TypeReg, "")
	for _, name := range strings.Fields("sh ls cat sleep true false echo id hostname mount touch mkdir kill pwd env rm stty head md5sum ps seq") {
		add("bin/"+name, 0o777, "", tar.TypeSymlink, "busybox")
	}
	add("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/tmp:/bin/sh\n", tar.TypeReg, "")
	add("bin/crlf", 0o755, "#!/bin/sh\r\necho x\r\n", tar.TypeReg, "")
	add("tmp/noexec.sh", 0o644, "#!/bin/sh\n", tar.TypeReg, "")
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = image.Open(data+"/images").ImportTar(&b, "bb:latest", ocispec.Image{Config: ocispec.ImageConfig{
		Cmd: []string{"sh"}, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}})
	return err
}
