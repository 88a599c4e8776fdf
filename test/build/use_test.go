package build

import (
	"strings"
	"testing"
	"time"
)

// use does with an image what its case wants.
func (c *Case) use(t *testing.T, b *builder) {
	for _, s := range c.Uses {
		switch s.Verb {
		case "run":
			if o := b.run(t, "/", b.engine+" run --rm "+c.image(b)+" "+s.Text); !words(o.Output, s.Want) {
				t.Errorf("%s run %s: exit %d\nwant %s\n%s", b.name, s.Text, o.Code, s.Want, end(o.Output))
			}
		case "serve":
			o := b.run(t, "/", b.engine+" run -d --name serving "+s.Text+" "+c.image(b))
			if o.Code != 0 {
				t.Fatalf("%s run -d %s: exit %d: %s", b.name, s.Text, o.Code, o.Output)
			}
			defer b.run(t, "/", b.engine+" rm -f -v serving")
		case "ask":
			c.ask(t, b, s)
		}
	}
}

// ask gives a server ten seconds to come up.
func (c *Case) ask(t *testing.T, b *builder, s Step) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r := b.outside.Run("sh", "-c", s.Text)
		if words(r.Stdout, s.Want) {
			return
		}
		if time.Now().After(deadline) {
			logs := b.run(t, "/", b.engine+" logs serving")
			t.Errorf("%s: %s: exit %d: %s%s\nwant %s\n%s", b.name, s.Text, r.Code, r.Stdout, r.Stderr, s.Want, end(logs.Output))
			return
		}
	}
}

// words says whether a text consists of these words, lines and spaces being one.
func words(text, want string) bool {
	return strings.Join(strings.Fields(text), " ") == strings.Join(strings.Fields(want), " ")
}
