package fields

import (
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestNamespaces(t *testing.T) {
	need.SecondKernel(t)
	check(t, namespacesRows)
}

var namespacesRows = []row{
	{name: "hostname", edit: func(s *specs.Spec) { s.Hostname = "elsewhere" }, inside: "hostname", prints: "elsewhere"},
}
