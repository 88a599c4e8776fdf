package build

import (
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"glassbox/test/world"
)

// images are those that most cases' Dockerfiles begin with.
var images = []string{"busybox", "tree"}

// alone leaves glassbox out: what do the others make of a case?
var (
	alone = flag.Bool("alone", false, "hold the other builders against Docker's classic one, without glassbox")
	all   = flag.Bool("all", false, "ask all builders of each case")
)

func TestCorpus(t *testing.T) {
	corpus := cases(t, "testdata")
	publish(t, append(images, "alpine")...)
	var builders []*builder
	if !*alone {
		builders = append(builders, ofGlassbox(t).prepare(t, images...))
	}
	docker, buildkit := ofDocker(t)
	builders = append(builders, docker.prepare(t, images...), buildkit, ofBuildah(t).prepare(t, images...))
	for i, c := range corpus {
		t.Run(c.Name, func(t *testing.T) { c.play(t, chosen(builders, c, i)) })
	}
}

// chosen leaves out whom a quick test does not ask: BuildKit where the classic builder can tell, and buildah of every twelfth case.
func chosen(builders []*builder, c *Case, i int) []*builder {
	return slices.DeleteFunc(slices.Clone(builders), func(b *builder) bool {
		slow := b.name == "buildkit" && !c.Without["docker"] || b.name == "buildah" && i%12 != 0 || b.name != "glassbox" && c.Costly
		return c.Without[b.name] || slow && !*all && !*alone
	})
}

// play has all builders build a case, each step at once, and holds the first one against the others.
func (c *Case) play(t *testing.T, builders []*builder) {
	if c.Slow && !*all {
		t.Skip("slow: make soak plays it")
	}
	dir := world.Dir() + "/contexts/" + c.Name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.furnish(t, dir)
	last := make([]Outcome, len(builders))
	// Others may have left something in a cache; only cases that are about it shall find theirs.
	cached := "--no-cache "
	if strings.HasPrefix(c.Name, "cache") {
		cached = ""
	}
	for _, s := range c.Steps {
		if s.Verb == "do" {
			if o := builders[0].run(t, dir, s.Text); o.Code != 0 {
				t.Fatalf("%s: exit %d: %s", s.Text, o.Code, o.Output)
			}
			continue
		}
		var building sync.WaitGroup
		for i, b := range builders {
			building.Go(func() { last[i] = b.build(t, dir, c.image(b), cached+s.Text) })
		}
		building.Wait()
		for i, b := range builders[1:] {
			c.compareOutcomes(t, b, last[i+1], last[0])
		}
	}
	for i, b := range builders {
		t.Logf("%s: %.2f s", b.name, last[i].Took.Seconds())
	}
	if last[0].Code != 0 && len(c.Uses) > 0 {
		t.Errorf("we end with %d:\n%s", last[0].Code, end(last[0].Output))
	}
	if t.Failed() || last[0].Code != 0 {
		return
	}
	ours := builders[0].picture(t, c.image(builders[0]))
	for _, b := range builders[1:] {
		c.comparePictures(t, b, b.picture(t, c.image(b)), ours)
	}
	for _, b := range builders {
		if b.engine != "" {
			c.use(t, b)
		}
	}
}

func (c *Case) image(b *builder) string { return "corpus-" + c.Name + ":" + b.name }

// compareOutcomes wants our builds to succeed where others do, and to say what the classic builder does.
func (c *Case) compareOutcomes(t *testing.T, b *builder, want, have Outcome) {
	t.Helper()
	same := want.Code == have.Code || b.name != "docker" && want.Code != 0 && have.Code != 0
	if !same {
		t.Errorf("%s ends with %d, we with %d\n%s says:\n%s\nwe say:\n%s", b.name, want.Code, have.Code, b.name, end(want.Output), end(have.Output))
		return
	}
	if b.name != "docker" || *alone {
		return
	}
	if d := different(said(want), said(have), c.Differs["docker"]); d != "" {
		t.Errorf("we say it otherwise than the classic builder:\n%s", d)
	}
}

func (c *Case) comparePictures(t *testing.T, b *builder, want, have Picture) {
	t.Helper()
	but := append(slices.Clone(everywhere[b.name]), c.Differs[b.name]...)
	if d := different(want.Tree, have.Tree, but); d != "" {
		t.Errorf("files, - %s, + ours:\n%s", b.name, d)
	}
	wanted, had := settings(want.Config), settings(have.Config)
	if b.name != "docker" {
		wanted, had = withoutHistory(wanted), withoutHistory(had)
	}
	if d := different(wanted, had, but); d != "" {
		t.Errorf("configuration, - %s, + ours:\n%s", b.name, d)
	}
	if b.name != "docker" {
		return
	}
	if len(want.Layers) != len(have.Layers) {
		t.Errorf("%s has %d layers, we have %d", b.name, len(want.Layers), len(have.Layers))
		return
	}
	for i := range want.Layers {
		if d := different(want.Layers[i], have.Layers[i], but); d != "" {
			t.Errorf("layer %d, - %s, + ours:\n%s", i, b.name, d)
		}
	}
}

// everywhere are differences that no case is about.
var everywhere = map[string][]string{}

// end are the last lines of a text.
func end(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
