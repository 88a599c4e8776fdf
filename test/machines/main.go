package machines

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"glassbox/image"
	"glassbox/test/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is what Main gives to every host.
type Image struct {
	Name   string
	Files  func() ([]world.File, error)
	Config ocispec.ImageConfig
}

var engine = flag.String("engine", "glassbox", "`glassbox`, or docker to hold the tests themselves against the real one")

// dockerBin is where test/tools/docker builds it, seen from a package of test.
const dockerBin = "../.cache/docker"

// RealDocker says that what is called glassbox is Docker 28.5.2 (-engine docker).
func RealDocker() bool { return *engine == "docker" }

func imagesRoot() string { return world.Dir() + "/images" }

// Main is TestMain of a package whose tests need hosts: it builds glassbox outside, and inside of the world makes the images once.
func Main(m *testing.M, images ...Image) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: machines need root")
		return
	}
	build := world.BuildGlassbox
	if RealDocker() {
		build = linkDocker
	}
	os.Exit(world.Run(build, func() int {
		if err := os.MkdirAll(imagesRoot(), 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for _, i := range images {
			if err := i.make(); err != nil {
				fmt.Fprintf(os.Stderr, "making the image %s: %v\n", i.Name, err)
				return 1
			}
		}
		return m.Run()
	}))
}

// linkDocker puts Docker's command line in glassbox's place.
func linkDocker(dir string) error {
	bin, err := filepath.Abs(dockerBin)
	if err == nil {
		err = os.Mkdir(dir+"/glassbox", 0o755)
	}
	return errors.Join(err, os.Symlink(bin+"/docker", dir+"/glassbox/glassbox"))
}

func (i Image) make() error {
	files, err := i.Files()
	if err != nil {
		return err
	}
	packed, w := io.Pipe()
	go func() { w.CloseWithError(world.Archive(w, files)) }()
	i.Config.Env = append(i.Config.Env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	if RealDocker() {
		return i.archive(packed)
	}
	_, err = image.Open(imagesRoot()+"/images").ImportTar(packed, i.Name+":latest", ocispec.Image{Config: i.Config})
	return err
}

// archive keeps the files with a script that gives them to Docker.
func (i Image) archive(packed io.Reader) error {
	dir := imagesRoot() + "/" + i.Name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script := "glassbox import"
	for _, e := range i.Config.Env {
		script += " -c 'ENV " + e + "'"
	}
	for port := range i.Config.ExposedPorts {
		script += " -c 'EXPOSE " + port + "'"
	}
	for volume := range i.Config.Volumes {
		script += " -c 'VOLUME " + volume + "'"
	}
	if i.Config.User != "" {
		script += " -c 'USER " + i.Config.User + "'"
	}
	out, err := os.Create(dir + "/tar")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, packed)
	return errors.Join(err, out.Close(), os.WriteFile(dir+"/import", []byte(script+" "+dir+"/tar "+i.Name), 0o644))
}
