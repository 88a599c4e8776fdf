package main

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
)

func TestImagesTree(t *testing.T) {
	list := []image.Summary{
		{ID: "sha256:" + webID, RepoTags: []string{"app:1", "a-longer-name-of-the-same:latest"}, Size: 1_980_000, Containers: 1},
		{ID: "sha256:" + oldID, Size: 12},
	}
	for width, want := range map[int]string{
		100: "a-longer-name-of-the-same:latest\napp:1                              111111111111       1.98MB             0B   U    \n" +
			"<untagged>                         222222222222          12B             0B        \n",
		30: "a-longer-name-of-the-same:lat…\napp:1             111111111111\n<untagged>        222222222222\n",
	} {
		var b strings.Builder
		printTree(&b, list, width)
		if _, rows, _ := strings.Cut(b.String(), "\nIMAGE"); !strings.HasSuffix(rows, "\n"+want) {
			t.Errorf("at %d columns:\n%s", width, b.String())
		}
	}
}

func TestQualifiedDevices(t *testing.T) {
	for device, want := range map[string]bool{
		"vendor.com/class=name": true, "nvidia.com/gpu=all": true, "v/c=0:1": true,
		"/dev/null": false, "/dev/x=y": false, "./a=b": false, "vendor/class=": false, "vendor.com/class": false,
	} {
		if qualified(device) != want {
			t.Errorf("%s", device)
		}
	}
}
