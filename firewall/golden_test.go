package firewall

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestGolden holds what people are shown. TestToldIsDone holds it against the kernel.
func TestGolden(t *testing.T) {
	for name, text := range map[string]string{
		"rebuild.nft":  Rebuild(all).Call,
		"plug.nft":     added(Desired{Members: all.Members, Ports: all.Ports}).Request("", "").Call,
		"unplug.nft":   removed(Desired{Members: all.Members, Ports: all.Ports}).Request("", "").Call,
		"network.nft":  added(Desired{Networks: all.Networks}).Request("", "").Call,
		"redirect.nft": redirect(t, nil, 40053, 40054)[0].Call,
		"remove.nft":   Remove().Call,
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s (go test ./firewall -update writes it):\n%s", file, text)
		}
	}
}
