package engine

import (
	"maps"
	"strconv"

	"glassbox/event"
	"glassbox/store"
)

// tell appends what happened to a container to the journal; more are pairs of an attribute and its value.
func (c *Containers) tell(r *record, action string, more ...string) {
	c.tellAll(r.event(action, more...))
}

// tellAll appends events. That they cannot be kept is told, and stops nothing.
func (c *Containers) tellAll(events ...event.Event) {
	if len(events) == 0 {
		return
	}
	if err := journal(c.root).Append(events...); err != nil {
		c.warn(err.Error())
	}
}

func journal(root store.Root) event.Journal { return event.Journal{Path: root.Events()} }

func (r *record) event(action string, more ...string) event.Event {
	a := event.Attributes(more...)
	maps.Copy(a, r.actor())
	return event.Event{Type: "container", Action: action, ID: r.ID, Attributes: a}
}

// actor are the attributes that all events of the container have.
func (r *record) actor() map[string]string {
	a := map[string]string{}
	maps.Copy(a, r.Config.Labels)
	if r.Config.Image != "" {
		a["image"] = r.Config.Image
	}
	a["name"] = r.Name
	return a
}

func volumeEvent(name, action string, more ...string) event.Event {
	return event.Event{Type: "volume", Action: action, ID: name, Attributes: event.Attributes(more...)}
}

// pruned is the event of a prune of all things of a type.
func pruned(kind string, reclaimed uint64) event.Event {
	return event.Event{Type: kind, Action: "prune", Attributes: map[string]string{"reclaimed": strconv.FormatUint(reclaimed, 10)}}
}
