package monitor

import (
	"maps"
	"time"

	"glassbox/event"
)

// tell appends what happened to the container to the journal; more are pairs of an attribute and its value. Name and labels are read
// anew: a container can be renamed while it runs.
func (m *monitor) tell(action string, more ...string) {
	var now Config
	if err := m.read("monitor.json", &now); err != nil {
		complain(err)
		now = m.config
	}
	if now.Events == "" {
		return
	}
	attributes := map[string]string{}
	maps.Copy(attributes, now.Actor)
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i]] = more[i+1]
	}
	e := event.Event{Type: "container", Action: action, ID: m.config.ID, Attributes: attributes, Time: time.Now()}
	if err := (event.Journal{Path: now.Events}).Append(e); err != nil {
		complain(err)
	}
}
