package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/go-units"
)

// treeImages prints `images --tree`: Docker's preview of a list with a branch for each platform. An image here has one platform,
// as in Docker without the containerd store, and so no branches.
func (c *call) treeImages(f *imagesFlags, filter filters.Args) error {
	for _, given := range []struct {
		is   bool
		flag string
	}{{f.quiet, "quiet"}, {f.noTrunc, "no-trunc"}, {f.digests, "show-digest"}, {f.format != "", "format"}} {
		if given.is {
			return plainFailure("--%s is not yet supported with --tree", given.flag)
		}
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	list, err := b.images.Summaries(f.all, filter)
	if err != nil {
		return engineFailure(err)
	}
	if !f.all {
		list = slices.DeleteFunc(list, func(i image.Summary) bool { return len(i.RepoTags) == 0 && len(i.RepoDigests) == 0 })
	}
	slices.SortStableFunc(list, func(a, b image.Summary) int { return cmp.Compare(b.Created, a.Created) })
	printTree(c.stdout, list, max(20, c.outputWidth()))
	return nil
}

// outputWidth is that of the terminal that is written to, or 80.
func (c *call) outputWidth() int {
	if size, is := windowSize(c.stdout); is && size.Cols > 0 {
		return int(size.Cols)
	}
	return 80
}

// treeColumns are those beside the name, with their widths; an image that a container uses is marked in the last.
var treeColumns = []struct {
	title string
	width int
	value func(image.Summary) string
}{
	{"ID", -12, func(i image.Summary) string { return formatter.TruncateID(i.ID) }},
	{"DISK USAGE", 10, func(i image.Summary) string { return units.HumanSizeWithPrecision(float64(i.Size), 3) }},
	{"CONTENT SIZE", 12, func(image.Summary) string { return "0B" }}, // counts compressed layers, of which none are kept
	{"EXTRA", -5, func(i image.Summary) string {
		if i.Containers > 0 {
			return "U"
		}
		return ""
	}},
}

func printTree(w io.Writer, list []image.Summary, width int) {
	put(w, "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.\n")
	put(w, "%*s\n\n", width, " Info ->  U In Use ")
	name, columns := treeWidths(list, width)
	put(w, "%-*s", name, ellipsis("IMAGE", name))
	for _, col := range treeColumns[:columns] {
		put(w, "   %*s", col.width, col.title)
	}
	put(w, "\n")
	for _, i := range list {
		names := slices.Clone(i.RepoTags)
		slices.SortStableFunc(names, func(a, b string) int { return len(b) - len(a) })
		if len(names) == 0 {
			names = []string{"<untagged>"}
		}
		last := len(names) - 1
		for _, n := range names[:last] {
			put(w, "%s\n", ellipsis(n, width))
		}
		put(w, "%-*s", name, ellipsis(names[last], name))
		for _, col := range treeColumns[:columns] {
			put(w, "   %*s", col.width, col.value(i))
		}
		put(w, "\n")
	}
}

// treeWidths leaves out columns from the right until the names have 12 characters, and gives those no more than they need.
func treeWidths(list []image.Summary, width int) (name, columns int) {
	for name = width; columns < len(treeColumns); columns++ {
		w := max(treeColumns[columns].width, -treeColumns[columns].width) + 3
		if name-w < 12 {
			break
		}
		name -= w
	}
	widest := len("IMAGE")
	for _, i := range list {
		for _, n := range i.RepoTags {
			widest = max(widest, len(n))
		}
	}
	return min(name, widest), columns
}

func ellipsis(text string, width int) string {
	if len(text) <= width {
		return text
	}
	return fmt.Sprintf("%.*s…", width-1, text)
}
