package engine

import (
	"maps"
	"time"

	"glassbox/event"
)

// tell appends what happened to a container to the journal; more are pairs of an attribute and its value.
func (c *Containers) tell(r *record, action string, more ...string) {
	attributes := r.actor()
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i]] = more[i+1]
	}
	e := event.Event{Type: "container", Action: action, ID: r.ID, Attributes: attributes, Time: time.Now()}
	if err := (event.Journal{Path: c.root.Events()}).Append(e); err != nil {
		c.warn(err.Error())
	}
}

// actor are the attributes that all events of the container have.
func (r *record) actor() map[string]string {
	attributes := map[string]string{}
	maps.Copy(attributes, r.Config.Labels)
	attributes["image"], attributes["name"] = r.Config.Image, r.Name
	return attributes
}
