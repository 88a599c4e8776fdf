package engine

import (
	"path"
	"strings"
	"time"

	"glassbox/image"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/storage"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
)

var imageFilters = map[string]bool{"dangling": true, "label": true, "label!": true, "before": true, "since": true, "reference": true, "until": true}

// ImageSummaries is `images` in Docker's type, newest first. What has no name and was made into other images is listed with all only.
func (e *Engine) ImageSummaries(all bool, f filters.Args) ([]dockerimage.Summary, error) {
	if err := f.Validate(imageFilters); err != nil {
		return nil, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	dangling, err := f.GetBoolOrDefault("dangling", false)
	if err != nil {
		return nil, invalid("%w", err)
	}
	before, since, err := e.imagePeriod(f)
	if err != nil {
		return nil, err
	}
	images, err := e.Images.List()
	if err != nil {
		return nil, err
	}
	heads := map[digest.Digest]bool{}
	for _, img := range image.Heads(images) {
		heads[img.ID] = true
	}
	uses, err := e.Containers.uses()
	if err != nil {
		return nil, err
	}
	out := []dockerimage.Summary{}
	for _, img := range images {
		created := createdAt(img)
		untagged := len(img.Tags) == 0
		switch {
		case !heads[img.ID] && (dangling || !all && untagged && len(img.Digests) == 0):
			continue
		case !before.IsZero() && !created.Before(before), !since.IsZero() && !created.After(since):
			continue
		case !labelsMatch(f, img.Config.Config.Labels):
			continue
		case f.Contains("dangling") && dangling != untagged:
			continue
		}
		tags, digests := img.Tags, img.Digests
		if patterns := f.Get("reference"); len(patterns) > 0 {
			if tags, digests, err = matching(patterns, tags, digests); err != nil {
				return nil, err
			}
			if len(tags)+len(digests) == 0 {
				continue
			}
		}
		out = append(out, summaryOf(img, tags, digests, uses[img.ID]))
	}
	return out, nil
}

func createdAt(img *image.Image) time.Time {
	if img.Config.Created == nil {
		return time.Time{}
	}
	return *img.Config.Created
}

func summaryOf(img *image.Image, tags, digests []string, containers int) dockerimage.Summary {
	s := dockerimage.Summary{
		ID: string(img.ID), Containers: int64(containers), Labels: img.Config.Config.Labels, Size: img.Size, SharedSize: -1,
		RepoTags: orEmpty(tags), RepoDigests: orEmpty(digests), ParentID: img.Parent.String(),
	}
	if c := createdAt(img); !c.IsZero() {
		s.Created = c.Unix()
	}
	return s
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// imagePeriod reads before=, since= and until=.
func (e *Engine) imagePeriod(f filters.Args) (before, since time.Time, err error) {
	for _, ref := range f.Get("before") {
		img, err := e.Images.Resolve(ref)
		if err != nil {
			return before, since, err
		}
		if t := createdAt(img); before.IsZero() || before.After(t) {
			before = t
		}
	}
	for _, ref := range f.Get("since") {
		img, err := e.Images.Resolve(ref)
		if err != nil {
			return before, since, err
		}
		if t := createdAt(img); since.Before(t) {
			since = t
		}
	}
	until, err := pruneUntil(f)
	if err == nil && !until.IsZero() && (before.IsZero() || before.After(until)) {
		before = until
	}
	return before, since, err
}

// matching keeps the references that a pattern such as busy*:latest matches, as reference.FamiliarMatch does.
func matching(patterns, tags, digests []string) (keptTags, keptDigests []string, err error) {
	keep := func(refs []string) ([]string, error) {
		var kept []string
		for _, text := range refs {
			ref, err := reference.ParseNormalizedNamed(text)
			if err != nil {
				return nil, err
			}
			for _, p := range patterns {
				ok, err := reference.FamiliarMatch(p, ref)
				if err == path.ErrBadPattern {
					return nil, invalid("%w", err)
				}
				if ok {
					kept = append(kept, text)
					break
				}
			}
		}
		return kept, nil
	}
	if keptTags, err = keep(tags); err != nil {
		return nil, nil, err
	}
	keptDigests, err = keep(digests)
	return keptTags, keptDigests, err
}

// uses counts the containers of each image.
func (c *Containers) uses() (map[digest.Digest]int, error) {
	ids, err := c.root.IDs()
	if err != nil {
		return nil, err
	}
	n := map[digest.Digest]int{}
	for _, id := range ids {
		if r, err := c.read(id); err == nil {
			n[r.Image]++
		}
	}
	return n, nil
}

// user is the container that uses an image; one that runs comes first.
func (c *Containers) user(img digest.Digest) (id string, running bool) {
	ids, err := c.root.IDs()
	if err != nil {
		return "unknown", false // nothing is deleted while we cannot tell
	}
	for _, one := range ids {
		r, err := c.read(one)
		if err != nil || r.Image != img && !r.shows(string(img)) {
			continue
		}
		id = r.ID
		if s, err := c.state(r); err != nil || s.Running {
			return id, true
		}
	}
	return id, false
}

// ImageInspect returns Docker's document for an image.
func (e *Engine) ImageInspect(ref string) (dockerimage.InspectResponse, error) {
	img, err := e.Images.Resolve(ref)
	if err != nil {
		return dockerimage.InspectResponse{}, err
	}
	k := img.Config
	out := dockerimage.InspectResponse{
		ID: string(img.ID), RepoTags: orEmpty(img.Tags), RepoDigests: orEmpty(img.Digests), Parent: img.Parent.String(), Comment: comment(img),
		DockerVersion: img.Docker.DockerVersion, Author: k.Author, Architecture: k.Architecture, Variant: k.Variant, Os: k.OS, OsVersion: k.OSVersion,
		Size:   img.Size,
		Config: &dockerspec.DockerOCIImageConfig{ImageConfig: k.Config, DockerOCIImageConfigExt: img.Docker.DockerOCIImageConfigExt},
		RootFS: dockerimage.RootFS{Type: k.RootFS.Type},
	}
	if c := createdAt(img); !c.IsZero() {
		out.Created = c.Format(time.RFC3339Nano)
	}
	for _, d := range k.RootFS.DiffIDs {
		out.RootFS.Layers = append(out.RootFS.Layers, string(d))
	}
	layers, err := e.Images.Layers(img)
	if err != nil {
		return out, err
	}
	out.GraphDriver = storage.DriverData{Name: "overlay2", Data: layerData(layers.Lower)}
	return out, nil
}

func comment(img *image.Image) string {
	if img.Docker.Comment == "" && len(img.Config.History) > 0 {
		return img.Config.History[len(img.Config.History)-1].Comment
	}
	return img.Docker.Comment
}

// layerData shows the topmost layer as the overlay's upper one, as Docker does.
func layerData(lower []string) map[string]string {
	if len(lower) == 0 {
		return nil
	}
	data := map[string]string{"UpperDir": lower[0]}
	if len(lower) > 1 {
		data["LowerDir"] = strings.Join(lower[1:], ":")
	}
	return data
}

// ImageRemove is `rmi`: Docker's conflicts with containers that use the image are checked here.
func (e *Engine) ImageRemove(ref string, o dockerimage.RemoveOptions) ([]dockerimage.DeleteResponse, error) {
	if len(o.Platforms) > 1 {
		return nil, invalid("multiple platforms are not supported")
	}
	if len(o.Platforms) == 1 {
		if _, err := e.imageFor(ref, &o.Platforms[0]); err != nil {
			return nil, err
		}
	}
	remove := e.Images.RemoveAlone
	if o.PruneChildren {
		remove = func(ref string, force bool) ([]string, []string, error) { return e.Images.Remove(ref, force, nil) }
	}
	untagged, deleted, err := remove(ref, o.Force)
	var out []dockerimage.DeleteResponse
	for _, u := range untagged {
		out = append(out, dockerimage.DeleteResponse{Untagged: u})
	}
	for _, d := range deleted {
		out = append(out, dockerimage.DeleteResponse{Deleted: d})
	}
	return out, err
}
