package image

import (
	"archive/tar"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func tinyConfig() ocispec.Image {
	return ocispec.Image{
		Created: &born,
		Author:  "glassbox",
		Config:  ocispec.ImageConfig{Cmd: []string{"sh"}, Env: []string{defaultPath}},
		History: []ocispec.History{{Created: &born, CreatedBy: "glassbox: this program as /bin/tiny, its applets, glassrun, and /etc"}},
	}
}

const (
	tinyPasswd = `root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
`
	tinyGroup = `root:x:0:
tty:x:5:
app:x:1000:
nogroup:x:65534:
`
	tinyRelease = `ID=tiny
NAME="glassbox tiny"
PRETTY_NAME="glassbox tiny: one program, all of it glassbox itself"
`
)

// writeTiny writes the image whose every command is this program, under the names of its applets, and of its own; glassrun, which starts
// containers, comes along, so that they can be had inside one too. Empty: it does not.
func writeTiny(a *layerWriter, applets []string, glassrun string) {
	for _, d := range []string{"bin", "dev", "etc", "home", "proc", "run", "sys", "usr", "usr/local", "usr/local/bin", "var", "var/log"} {
		a.dir(d, 0o755, 0)
	}
	a.dir("root", 0o700, 0)
	a.dir("home/app", 0o755, 1000)
	a.dir("tmp", 0o1777, 0)
	a.dir("var/tmp", 0o1777, 0)
	a.link("sbin", "bin")
	a.link("usr/bin", "../bin")
	a.link("usr/sbin", "../bin")
	a.text("etc/passwd", tinyPasswd)
	a.text("etc/group", tinyGroup)
	a.text("etc/os-release", tinyRelease)
	a.program("bin/tiny", self)
	if glassrun != "" {
		a.link("bin/glassbox", "tiny")
		a.program("bin/glassrun", glassrun)
	}
	for _, name := range applets {
		if name != "tiny" {
			a.link("bin/"+name, "tiny")
		}
	}
}

func (a *layerWriter) text(name, content string) {
	a.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}, strings.NewReader(content))
}

// program adds a copy of a program.
func (a *layerWriter) program(name, path string) {
	f, err := os.Open(path)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: info.Size()}, f)
}
