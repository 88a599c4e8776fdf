package engine

import (
	"testing"

	"glassbox/store"

	"github.com/docker/docker/api/types/container"
)

// Whoever looks at a claim sees either a container that is being made or one that is finished, in whatever order it looks.
func TestClaimOfAContainerJustFinished(t *testing.T) {
	c := &Containers{root: store.Root{Data: t.TempDir(), Run: t.TempDir()}}
	for round := range 3000 {
		r := &record{ID: store.NewID(), Name: "web", Range: "17", Config: &container.Config{}, HostConfig: &container.HostConfig{}}
		r.place = c.root.Container(r.ID)
		lock, err := r.place.Make()
		if err != nil {
			t.Fatal(err)
		}
		finished := make(chan error)
		go func() {
			err := r.save()
			lock.Release()
			finished <- err
		}()
		for looking := true; looking; {
			if c.lost(r.ID, "web") {
				t.Fatalf("round %d: the name was taken from its owner", round)
			}
			if c.lostRange(r.ID, "17") {
				t.Fatalf("round %d: the ids were taken from their owner", round)
			}
			select {
			case err := <-finished:
				if err != nil {
					t.Fatal(err)
				}
				looking = false
			default:
			}
		}
		if !c.lost(r.ID, "other") {
			t.Fatal("a finished container keeps a name that it does not have")
		}
	}
}

// A container that is being renamed has claimed a name that its document does not say yet.
func TestClaimDuringARename(t *testing.T) {
	c := &Containers{root: store.Root{Data: t.TempDir(), Run: t.TempDir()}}
	r := &record{ID: store.NewID(), Name: "old", Config: &container.Config{}, HostConfig: &container.HostConfig{}}
	r.place = c.root.Container(r.ID)
	lock, err := r.place.Make()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	if c.lost(r.ID, "new") {
		t.Error("the new name was taken from a container in the middle of its renaming")
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if !c.lost(r.ID, "new") || c.lost(r.ID, "old") {
		t.Error("after a renaming that was interrupted the old name counts")
	}
}
