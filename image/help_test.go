package image

import (
	"testing"

	"github.com/distribution/reference"
)

func mustRef(t testing.TB, name string) reference.Named {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
