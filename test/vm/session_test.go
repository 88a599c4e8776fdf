package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	images "glassbox/image"
	"glassbox/test/need"
	"glassbox/test/script"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestLimits plays the sessions of testdata/limits with the real programs, wherever cgroup v2 has the controllers: in the VM. The
// image bb holds Debian's static busybox.
func TestLimits(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "cpu", "cpuset", "io", "memory", "pids")
	sessions(t, "testdata/limits")
}

// TestLimitsOfScopes plays them where systemd manages the groups.
func TestLimitsOfScopes(t *testing.T) {
	need.Root(t)
	need.Systemd(t)
	sessions(t, "testdata/scopes")
}

func sessions(t *testing.T, dir string) {
	bin, busybox := need.Programs(t), need.Program(t, "busybox")
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": script.Code,
		},
		Setup: func(e *testscript.Env) error {
			data := e.WorkDir + "/.data"
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			e.Setenv("GLASSBOX_ROOT", data)
			e.Setenv("GLASSBOX_RUN", e.WorkDir+"/.run")
			e.Setenv("DOCKER_CONFIG", e.WorkDir+"/.docker")
			e.Defer(func() { removeAll(e) })
			return importBusybox(data, busybox)
		},
	})
}

// removeAll ends what a script left running, also after it failed.
func removeAll(e *testscript.Env) {
	c := exec.Command("sh", "-c", "glassbox rm -f $(glassbox ps -aq) 2>/dev/null")
	c.Env = e.Vars
	_ = c.Run() // rm without arguments fails
}

// importBusybox makes the image bb.
func importBusybox(data, busybox string) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		err = errors.Join(err, w.WriteHeader(&h))
		_, e := w.Write(body)
		err = errors.Join(err, e)
	}
	for _, dir := range []string{"bin", "etc", "tmp", "root", "data"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range strings.Fields(string(applets)) {
		if name != "busybox" {
			add(tar.Header{Typeflag: tar.TypeSymlink, Name: filepath.Join("bin", name), Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = images.Open(filepath.Join(data, "images")).ImportTar(&b, "bb:latest", ocispec.Image{Config: ocispec.ImageConfig{
		Cmd: []string{"sh"}, Env: []string{"PATH=/bin"},
	}})
	return err
}
