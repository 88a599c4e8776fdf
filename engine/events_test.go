package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/event"
	"glassbox/store"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// storied is a System whose journal holds a little story.
func storied(t *testing.T) *System {
	t.Helper()
	c := &Containers{root: store.Root{Data: t.TempDir(), Run: t.TempDir()}, Warn: func(m string) { t.Error(m) }}
	actor := map[string]string{"name": "web", "image": "repo/nginx:1", "tier": "front"}
	for i, e := range []event.Event{
		{Type: "image", Action: "pull", ID: "repo/nginx:1", Attributes: map[string]string{"name": "repo/nginx"}},
		{Type: "container", Action: "create", ID: "c1", Attributes: actor},
		{Type: "network", Action: "connect", ID: "n1", Attributes: map[string]string{"name": "front", "type": "bridge", "container": "c1"}},
		{Type: "container", Action: "start", ID: "c1", Attributes: actor},
		{Type: "container", Action: "exec_create: ls -l", ID: "c1", Attributes: actor},
		{Type: "container", Action: "health_status: healthy", ID: "c1", Attributes: actor},
		{Type: "container", Action: "create", ID: "c2", Attributes: map[string]string{"name": "website", "image": "bb"}},
		{Type: "volume", Action: "prune", Attributes: map[string]string{"reclaimed": "0"}},
	} {
		e.Time = time.Unix(int64(100+i), 0)
		c.tellAll(e)
	}
	return &System{root: c.root, containers: c}
}

func (s *System) actions(t *testing.T, o events.ListOptions) string {
	t.Helper()
	var all []string
	err := s.Events(t.Context(), o, func(m events.Message) error {
		all = append(all, string(m.Type[:1])+":"+string(m.Action))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

func TestEventFilters(t *testing.T) {
	s := storied(t)
	const all = "i:pull, c:create, n:connect, c:start, c:exec_create: ls -l, c:health_status: healthy, c:create, v:prune"
	for filter, want := range map[string]string{
		"":                              all,
		"type=network":                  "n:connect",
		"type=network type=volume":      "n:connect, v:prune",
		"type=network event=start":      "",
		"event=start":                   "c:start",
		"event=exec_create":             "c:exec_create: ls -l",
		"event=health_status":           "c:health_status: healthy",
		"event=health_status: healthy":  "c:health_status: healthy",
		"event=exec":                    "",
		"container=c2":                  "c:create",
		"container=website":             "c:create",
		"container=web event=create":    "c:create, c:create", // whatever begins so
		"container=c2 container=n1":     "n:connect, c:create",
		"network=front":                 "n:connect",
		"image=repo/nginx event=create": "c:create",
		"image=repo/nginx:1":            "i:pull, c:create, c:start, c:exec_create: ls -l, c:health_status: healthy",
		"image=nginx":                   "",
		"label=tier event=start":        "c:start",
		"label=tier=front event=start":  "c:start",
		"label=tier=back":               "",
		"scope=local":                   all,
		"scope=swarm":                   "",
		"daemon=x":                      "",
		"plugin=x":                      "",
		"unknown=x":                     all,
	} {
		f := filters.NewArgs()
		for _, word := range strings.Split(strings.ReplaceAll(filter, ": ", ":_"), " ") {
			if k, v, ok := strings.Cut(word, "="); ok {
				f.Add(k, strings.ReplaceAll(v, ":_", ": "))
			}
		}
		if got := s.actions(t, events.ListOptions{Since: "0", Until: "1000", Filters: f}); got != want {
			t.Errorf("%q: %s; want %s", filter, got, want)
		}
	}
}

func TestEventTimes(t *testing.T) {
	s := storied(t)
	f := filters.NewArgs(filters.Arg("type", "container"))
	for _, c := range []struct{ since, until, want string }{
		{"103", "104", "c:start, c:exec_create: ls -l"},
		{"103.5", "104.000000001", "c:exec_create: ls -l"},
		{"", "101", "c:create"},
		{"106", "200", "c:create"},
		{"200", "300", ""},
		{"", "0", "c:create, c:start, c:exec_create: ls -l, c:health_status: healthy, c:create"}, // no end, in Docker
	} {
		if got := s.actions(t, events.ListOptions{Since: c.since, Until: c.until, Filters: f}); got != c.want {
			t.Errorf("since %q until %q: %s; want %s", c.since, c.until, got, c.want)
		}
	}
	err := s.Events(t.Context(), events.ListOptions{Since: "5", Until: "4"}, nil)
	if !Is(err, InvalidParameter) || err.Error() != "`since` time (5) cannot be after `until` time (4)" {
		t.Error(err)
	}
	if err := s.Events(t.Context(), events.ListOptions{Since: "5x"}, nil); !Is(err, InvalidParameter) {
		t.Error(err)
	}
}

// Without times only what happens from now on is told, and with an end to come, until then.
func TestEventsLive(t *testing.T) {
	s := storied(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, ready := make(chan string, 10), make(chan error, 1)
	go func() {
		ready <- s.Events(ctx, events.ListOptions{}, func(m events.Message) error {
			got <- string(m.Action)
			return nil
		})
	}()
	for n := 0; ; n++ { // it may not listen yet
		s.containers.tellAll(event.Event{Type: "container", Action: "top" + strconv.Itoa(n)})
		select {
		case action := <-got:
			if !strings.HasPrefix(action, "top") {
				t.Errorf("told of %s, which was before", action)
			}
			cancel()
			if err := <-ready; err != context.Canceled {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(20 * time.Millisecond):
			continue
		}
		break
	}
	soon := strconv.FormatInt(time.Now().Add(2*time.Second).Unix(), 10)
	o := events.ListOptions{Since: "107", Until: soon, Filters: filters.NewArgs(filters.Arg("type", "volume"))}
	if got := s.actions(t, o); got != "v:prune" {
		t.Errorf("until soon: %s", got)
	}
}

func TestSurroundings(t *testing.T) {
	c := &Containers{}
	r := &record{ID: "c1", Mounts: []mountPoint{{}, {}}}
	r.Mounts[0].Type, r.Mounts[0].Name, r.Mounts[0].Driver, r.Mounts[0].Destination, r.Mounts[0].RW = "volume", "data", "local", "/data", true
	r.Mounts[1].Type, r.Mounts[1].Source = "bind", "/etc"
	w := &wiring{Endpoints: []endpoint{{Network: "n1", Name: "front", Driver: "bridge"}}}
	arriving, parting, err := c.surroundings(r, w)
	if err != nil {
		t.Fatal(err)
	}
	name := func(e event.Event) string { return e.Type + " " + e.Action + " " + e.ID }
	var in, out []string
	for _, e := range arriving {
		in = append(in, name(e))
	}
	for _, e := range parting {
		out = append(out, name(e))
	}
	wantIn, wantOut := []string{"volume mount data", "network connect n1"}, []string{"network disconnect n1", "volume unmount data"}
	if !slices.Equal(in, wantIn) || !slices.Equal(out, wantOut) {
		t.Errorf("in %q, out %q", in, out)
	}
	if a := arriving[0].Attributes; a["read/write"] != "true" || a["destination"] != "/data" || a["container"] != "c1" || a["driver"] != "local" {
		t.Errorf("mount: %v", a)
	}
	if a := parting[0].Attributes; a["name"] != "front" || a["type"] != "bridge" || a["container"] != "c1" {
		t.Errorf("disconnect: %v", a)
	}
}
