package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/image"
	"glassbox/progress"

	"github.com/distribution/reference"
	"github.com/tonistiigi/go-csvvalue"
)

// Output is something that a build is for: what one --output asks for.
type Output struct {
	Type  string            // "image", an image of the store; "local", a directory; "tar"; "docker", "oci": archives of the image
	Dest  string            // where the files go; "-": Options.Stdout
	Tar   bool              // docker and oci: one file; else a directory
	Names []reference.Named // of the image; nil: those of Options.Tags
	Push  bool              // send it to its registry
}

// ParseOutput reads one --output as buildx does: "type=local,dest=DIR", or just a directory, or "-" for an archive of its files.
func ParseOutput(flag string) (Output, error) {
	o := Output{Tar: true}
	if flag == "-" {
		o.Type, o.Dest = "tar", "-"
		return o, nil
	}
	if !strings.Contains(flag, "=") {
		o.Type, o.Dest = "local", flag
		return o, o.check()
	}
	fields, err := csvvalue.Fields(flag, nil)
	if err != nil {
		return o, err
	}
	for _, field := range fields {
		key, value, found := strings.Cut(field, "=")
		if !found {
			return o, fmt.Errorf("invalid value %s", field)
		}
		if err := o.set(strings.TrimSpace(strings.ToLower(key)), value); err != nil {
			return o, err
		}
	}
	return o, o.check()
}

func (o *Output) set(key, value string) (err error) {
	switch key {
	case "type":
		o.Type = value
	case "dest":
		o.Dest = value
	case "tar":
		o.Tar, err = strconv.ParseBool(value)
	case "push":
		o.Push, err = strconv.ParseBool(value)
	case "name":
		for name := range strings.SplitSeq(value, ",") {
			ref, err := reference.ParseNormalizedNamed(name)
			if err != nil {
				return fmt.Errorf("invalid name %s: %w", name, err)
			}
			o.Names = append(o.Names, reference.TagNameOnly(ref))
		}
	default:
		return fmt.Errorf("unknown option %q of output: type, dest, name, push and tar are known", key)
	}
	if err != nil {
		err = fmt.Errorf("invalid value %s=%s: %w", key, value, err)
	}
	return err
}

// check refuses what cannot be, in buildx's words, before anything is built.
func (o *Output) check() error {
	switch {
	case o.Type == "":
		return errors.New("type is required for output")
	case o.Type == "registry":
		o.Type, o.Push = "image", true
	case o.Type == "docker" && o.Dest == "" && o.Tar:
		o.Type = "image"
	}
	switch {
	case !slices.Contains([]string{"image", "local", "tar", "docker", "oci"}, o.Type):
		return fmt.Errorf("exporter %q could not be found", o.Type)
	case o.Push && o.Type != "image":
		return fmt.Errorf("push is not an option of output type %s", o.Type)
	case len(o.Names) > 0 && (o.Type == "local" || o.Type == "tar"):
		return fmt.Errorf("name is not an option of output type %s", o.Type)
	case !o.Tar && o.Type != "docker" && o.Type != "oci":
		return fmt.Errorf("tar is not an option of output type %s", o.Type)
	case o.Type == "image" && o.Dest != "":
		return errors.New("dest is not an option of output type image")
	case o.directory() && o.Dest == "":
		return fmt.Errorf("dest is required for %s exporter", o.Type)
	case o.directory() && o.Dest == "-":
		return fmt.Errorf("dest cannot be stdout for %s exporter", o.Type)
	case o.Type != "image" && o.Dest == "":
		o.Dest = "-"
	}
	return o.look()
}

// look refuses a place that is something else.
func (o *Output) look() error {
	if o.Type == "image" || o.Dest == "-" {
		return nil
	}
	info, err := os.Stat(o.Dest)
	kind := "file"
	if o.directory() {
		kind = "directory"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("invalid destination %s: %w", kind, err)
	case o.directory() && !info.IsDir():
		return fmt.Errorf("destination directory %s is a file", o.Dest)
	case !o.directory() && info.IsDir():
		return fmt.Errorf("destination file %s is a directory", o.Dest)
	}
	return nil
}

// directory: a whole directory is written.
func (o *Output) directory() bool { return o.Type == "local" || !o.Tar }

// output gives one of the things that the build is for.
func (b *build) output(ctx context.Context, o Output, target *stage, r *progress.Result) error {
	if o.Names == nil {
		o.Names = b.Tags
	}
	if o.Type == "image" {
		return b.outputImage(ctx, o, target, r)
	}
	text := map[string]string{"local": "exporting to client directory", "tar": "exporting to client tarball"}[o.Type]
	if text == "" {
		text = "exporting to " + o.Type + " image format"
	}
	w := b.watch.Begin(progress.Task{Kind: progress.Export, Text: text})
	err := b.outputFiles(ctx, o, target, w)
	w.End(err)
	if err == nil && o.Dest != "-" {
		r.Files = append(r.Files, o.Dest)
	}
	return err
}

// outputImage gives the image its names, and sends it away under them.
func (b *build) outputImage(ctx context.Context, o Output, target *stage, r *progress.Result) error {
	if o.Push && len(o.Names) == 0 {
		return errors.New("tag is needed when pushing to registry")
	}
	w := b.watch.Begin(progress.Task{Kind: progress.Export})
	w.Made(target.id)
	r.Image = target.id
	for _, tag := range o.Names {
		name := reference.FamiliarString(tag)
		if err := b.engine.Images.Tag(target.id.String(), name); err != nil {
			w.End(err)
			return err
		}
		w.Tagged(tag.String())
		if !slices.Contains(r.Tags, name) {
			r.Tags = append(r.Tags, name)
		}
	}
	w.End(nil)
	if !o.Push {
		return nil
	}
	for _, tag := range o.Names {
		if err := b.push(ctx, tag, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *build) push(ctx context.Context, tag reference.Named, r *progress.Result) error {
	w := b.watch.Begin(progress.Task{Kind: progress.Export, Text: "pushing " + tag.String()})
	pushed, err := b.engine.Images.Push(ctx, tag, image.PushOptions{Out: w.Out()})
	if err == nil && len(pushed) > 0 {
		r.Pushed = pushed[0].Digest
	}
	w.End(err)
	return err
}

// outputFiles writes files of the image, or archives of it.
func (b *build) outputFiles(ctx context.Context, o Output, target *stage, w progress.Work) error {
	img, err := target.load(ctx)
	if err != nil {
		return err
	}
	write := func(to io.Writer) error { return b.writeTree(ctx, img, counted{to, w, new(int64)}) }
	if o.Type == "docker" || o.Type == "oci" {
		write = func(to io.Writer) error {
			return b.engine.Images.Save(ctx, counted{to, w, new(int64)}, []image.Saved{{Image: img, Names: tagged(o.Names)}}, image.SaveOptions{OCI: o.Type == "oci"})
		}
	}
	switch {
	case o.directory():
		return extract(ctx, o.Dest, write)
	case o.Dest == "-":
		return write(b.Stdout)
	}
	return replace(o.Dest, write)
}

// writeTree writes what the image shows as an archive.
func (b *build) writeTree(ctx context.Context, img *image.Image, to io.Writer) error {
	t, done, err := b.tree(ctx, img)
	if err != nil {
		return err
	}
	return errors.Join(archive.Write(to, t.Root, archive.Options{}), done())
}

// extract makes the files of an archive below a directory. They are the user's, as buildx makes them: owners that the user is not are
// nobody's here.
func extract(ctx context.Context, dir string, write func(io.Writer) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := archive.Stream(write)
	err = archive.Extract(ctx, files, archive.Target{Root: root, Shown: dir, Host: true})
	return errors.Join(err, files.Close())
}

// replace writes a file, which has its name only when it is complete. What is no plain file, such as a pipe, is written as it is.
func replace(name string, write func(io.Writer) error) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	draft := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s-%d", filepath.Base(name), rand.Uint32()))
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(draft, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return nil
}

// tagged leaves the names that an archive can hold.
func tagged(names []reference.Named) (all []reference.NamedTagged) {
	for _, n := range names {
		if t, is := n.(reference.NamedTagged); is {
			all = append(all, t)
		}
	}
	return all
}

// counted tells how much was written.
type counted struct {
	io.Writer
	work progress.Work
	n    *int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	*c.n += int64(n)
	c.work.Status("", *c.n, 0)
	return n, err
}
