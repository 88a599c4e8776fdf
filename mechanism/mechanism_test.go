package mechanism

import (
	"os"
	"testing"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All {
		if seen[m.Name] {
			t.Errorf("%s stands twice", m.Name)
		}
		seen[m.Name] = true
		if m.What == "" || m.Missing == "" || m.Manual == "" || m.Lab == "" || len(m.Calls) == 0 || len(m.Files) == 0 {
			t.Errorf("%s: something is empty: %+v", m.Name, m)
		}
		for _, f := range m.Files {
			if _, err := os.Stat("../" + f); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
	}
}
