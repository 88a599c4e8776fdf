package monitor

import (
	"maps"
	"slices"

	"glassbox/event"
)

// tell appends what happened to the container to the journal; more are pairs of an attribute and its value. Name and labels are read
// anew: a container can be renamed while it runs.
func (m *monitor) tell(action string, more ...string) {
	m.reread()
	m.append(m.event(action, more...))
}

// tellStart tells of the start of the first process, as it was asked for.
func (m *monitor) tellStart() {
	m.append(append(slices.Clone(m.config.Arriving), m.event("start"))...)
}

// tellEnd tells of the end of the first process.
func (m *monitor) tellEnd() {
	if m.state.OOMKilled {
		m.append(m.event("oom"))
	}
	m.append(append(slices.Clone(m.config.Parting), m.event("die", m.state.End()...))...)
}

// event is one of the container's, as of the last time that the engine's word was read.
func (m *monitor) event(action string, more ...string) event.Event {
	attributes := event.Attributes(more...)
	maps.Copy(attributes, m.config.Actor)
	return event.Event{Type: "container", Action: action, ID: m.config.ID, Attributes: attributes}
}

func (m *monitor) append(events ...event.Event) {
	if m.config.Events == "" {
		return
	}
	if err := (event.Journal{Path: m.config.Events}).Append(events...); err != nil {
		complain(err)
	}
}
