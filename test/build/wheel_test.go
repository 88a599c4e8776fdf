package build

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Wheels are made of what Debian's packages have installed here; they, and not the network, are what pip gets.
const distPackages = "/usr/lib/python3/dist-packages/"

// wheels names projects as their metadata here does, and what each requires, which Debian leaves out of that.
var wheels = map[string]struct {
	module   string // file or directory
	requires []string
}{
	"Flask":        {"flask", []string{"Werkzeug>=2.2.2", "Jinja2>=3.0", "itsdangerous>=2.0", "click>=8.0"}},
	"Werkzeug":     {"werkzeug", []string{"MarkupSafe>=2.1.1"}},
	"Jinja2":       {"jinja2", []string{"MarkupSafe>=2.0"}},
	"MarkupSafe":   {"markupsafe", nil},
	"itsdangerous": {"itsdangerous", nil},
	"click":        {"click", nil},
}

// wheelIndex writes a package index for pip below a directory: simple/NAME/index.html and the wheels.
func wheelIndex(dir string) error {
	for project := range wheels {
		name, wheel, err := makeWheel(project)
		if err != nil {
			return fmt.Errorf("a wheel of %s (apt-get install python3-flask): %w", project, err)
		}
		page := fmt.Sprintf("<!DOCTYPE html><html><body><a href=\"%s\">%[1]s</a></body></html>\n", name)
		place := filepath.Join(dir, "simple", strings.ToLower(project))
		if err := os.MkdirAll(place, 0o755); err != nil {
			return err
		}
		for file, body := range map[string][]byte{"index.html": []byte(page), name: wheel} {
			if err := os.WriteFile(filepath.Join(place, file), body, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeWheel packs a project as the binary distribution format says: its files, and beside them METADATA, WHEEL and RECORD.
func makeWheel(project string) (name string, wheel []byte, err error) {
	info, err := filepath.Glob(distPackages + project + "-*.egg-info")
	if err != nil || len(info) != 1 {
		return "", nil, fmt.Errorf("%d directories %s-*.egg-info", len(info), project)
	}
	stem := strings.TrimSuffix(filepath.Base(info[0]), ".egg-info")
	metadata, err := os.ReadFile(info[0] + "/PKG-INFO")
	if err != nil {
		return "", nil, err
	}
	w := newWheel()
	module := distPackages + wheels[project].module
	err = filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "__pycache__") {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return w.add(strings.TrimPrefix(path, distPackages), body)
	})
	if err != nil {
		return "", nil, err
	}
	head, rest, _ := strings.Cut(string(metadata), "\n")
	for _, r := range wheels[project].requires {
		head += "\nRequires-Dist: " + r
	}
	if err := w.add(stem+".dist-info/METADATA", []byte(head+"\n"+rest)); err != nil {
		return "", nil, err
	}
	if scripts, err := os.ReadFile(info[0] + "/entry_points.txt"); err == nil {
		if err := w.add(stem+".dist-info/entry_points.txt", scripts); err != nil {
			return "", nil, err
		}
	}
	if err := w.add(stem+".dist-info/WHEEL", []byte("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")); err != nil {
		return "", nil, err
	}
	wheel, err = w.finish(stem + ".dist-info/RECORD")
	return stem + "-py3-none-any.whl", wheel, err
}

type wheelWriter struct {
	body   bytes.Buffer
	zip    *zip.Writer
	record strings.Builder
}

func newWheel() *wheelWriter {
	w := &wheelWriter{}
	w.zip = zip.NewWriter(&w.body)
	return w
}

func (w *wheelWriter) add(name string, body []byte) error {
	sum := sha256.Sum256(body)
	fmt.Fprintf(&w.record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(body))
	return w.write(name, body)
}

func (w *wheelWriter) write(name string, body []byte) error {
	f, err := w.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: longAgo})
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return err
}

func (w *wheelWriter) finish(record string) ([]byte, error) {
	w.record.WriteString(record + ",,\n")
	if err := w.write(record, []byte(w.record.String())); err != nil {
		return nil, err
	}
	if err := w.zip.Close(); err != nil {
		return nil, err
	}
	return w.body.Bytes(), nil
}
