package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/rootfs"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// bundle is a directory with a config.json, as it was read.
type bundle struct {
	dir    string // absolute
	config []byte
	spec   *specs.Spec
	layers *rootfs.Layers // nil: root.path is a directory
}

// biggest is how long a config.json may be: Kubernetes' largest are some hundred KiB.
const biggest = 16 << 20

// open reads the bundle.
func open(dir string) (*bundle, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, errors.Unwrap(err))
	}
	b := &bundle{dir: abs}
	b.config, err = readConfig(filepath.Join(abs, fileConfig))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("JSON specification file %s not found", fileConfig)
	}
	if err != nil {
		return nil, err
	}
	if b.spec, err = decodeConfig(b.config); err != nil {
		return nil, err
	}
	if b.layers, err = readLayers(abs); err != nil {
		return nil, err
	}
	return b, b.checkRoot()
}

func readConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would have us wait
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case st.Size() > biggest:
		return nil, fmt.Errorf("%s has %d bytes: more than %d make no container", path, st.Size(), biggest)
	}
	text := make([]byte, st.Size())
	_, err = io.ReadFull(f, text)
	return text, err
}

func decodeConfig(text []byte) (*specs.Spec, error) {
	spec := new(specs.Spec)
	err := store.Decode(text, spec)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		err = fmt.Errorf("byte %d: %w", syntax.Offset, err)
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the file ends in the middle of the document, after %d bytes", len(text))
	}
	if err == nil {
		err = checkVersion(spec.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileConfig, err)
	}
	return spec, nil
}

// checkVersion: a later minor version only adds, another major version is another language (semver.org, which the spec follows).
func checkVersion(version string) error {
	core, _, _ := strings.Cut(strings.ReplaceAll(version, "+", "-"), "-")
	numbers := strings.Split(core, ".")
	for _, n := range numbers {
		if _, err := strconv.ParseUint(n, 10, 32); err != nil || len(numbers) != 3 {
			return fmt.Errorf("ociVersion: %q is no version of the runtime specification", version)
		}
	}
	if numbers[0] != "1" {
		return fmt.Errorf("ociVersion: %q is not understood, only 1.x.y is", version)
	}
	return nil
}

// readLayers reads layers.json, which a bundle of glassbox's has.
func readLayers(dir string) (*rootfs.Layers, error) {
	layers := new(rootfs.Layers)
	err := readDocument(filepath.Join(dir, "layers.json"), layers)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return layers, err
}

// root is the directory that becomes the container's.
func (b *bundle) root() string {
	if b.layers != nil {
		return b.layers.Mount
	}
	if b.spec.Root == nil || filepath.IsAbs(b.spec.Root.Path) {
		return b.rootPath()
	}
	return filepath.Join(b.dir, b.spec.Root.Path)
}

func (b *bundle) rootPath() string {
	if b.spec.Root == nil {
		return ""
	}
	return filepath.Clean(b.spec.Root.Path)
}

// checkRoot refuses a root that is not there or is a link: whoever may change the link would choose what is mounted.
func (b *bundle) checkRoot() error {
	if b.layers != nil || b.spec.Root == nil || b.spec.Root.Path == "" {
		return nil // nothing to look at: the runtime names what is missing
	}
	root := b.root()
	st, err := os.Lstat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("root.path: rootfs (%s) does not exist", root)
	case err != nil:
		return fmt.Errorf("root.path: %w", err)
	case st.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("root.path: invalid rootfs: %s is a symlink", root)
	case !st.IsDir():
		return fmt.Errorf("root.path: invalid rootfs: %s is not a directory", root)
	}
	return nil
}

// complete puts in what config.json leaves to the runtime.
func (r *record) complete(spec *specs.Spec) {
	if spec.Linux != nil && spec.Linux.CgroupsPath == "" {
		spec.Linux.CgroupsPath = "/glassbox/" + r.ID
		if r.Systemd {
			spec.Linux.CgroupsPath = "system.slice:glassrun:" + r.ID
		}
	}
	if spec.Process != nil && r.Sockets > 0 {
		spec.Process.Env = append(spec.Process.Env, "LISTEN_FDS="+strconv.Itoa(r.Sockets), "LISTEN_PID=1")
	}
}
