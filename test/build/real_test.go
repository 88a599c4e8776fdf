package build

import "testing"

// TestReal builds what courses and manuals have one build, as it is written there, pulls what it begins with from the mirror, and uses it.
func TestReal(t *testing.T) {
	publish(t, "busybox", "alpine", "python:3.11-slim", "golang:1.26", "nginx")
	var builders []*builder
	if !*alone {
		builders = append(builders, ofGlassbox(t).prepare(t, "busybox"))
	}
	docker, buildkit := ofDocker(t)
	builders = append(builders, docker.prepare(t, "busybox"), buildkit)
	for _, c := range cases(t, "testdata/real") {
		t.Run(c.Name, func(t *testing.T) { c.play(t, chosen(builders, c, 1)) })
	}
}
