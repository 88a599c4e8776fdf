package dockerfile

import (
	"strings"
	"testing"

	"glassbox/engine"
)

// Words that grow with each line end before memory does.
func TestGrowingWords(t *testing.T) {
	text := "FROM scratch\nENV A=0123456789abcdef\n" + strings.Repeat("ENV A=$A$A\n", 60)
	f, err := parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := &build{file: f}
	if err := b.arrange(); err != nil {
		t.Fatal(err)
	}
	s := b.stages[0]
	s.edit = engine.NewEdit(nil, s.lex)
	for i, c := range s.Commands {
		if _, err := s.edit.Apply(c, nil); err != nil {
			if want := `"$A$A" becomes 2097152 bytes long`; i != 17 || !strings.Contains(err.Error(), want) {
				t.Errorf("line %d: %v", i+2, err)
			}
			return
		}
	}
	t.Error("a word of 2^64 bytes")
}
