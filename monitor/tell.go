package monitor

import (
	"maps"
	"slices"
	"strconv"

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
	ran := int(m.state.FinishedAt.Sub(m.state.StartedAt).Seconds())
	die := m.event("die", "exitCode", strconv.Itoa(m.state.ExitCode), "execDuration", strconv.Itoa(ran))
	m.append(append(slices.Clone(m.config.Parting), die)...)
}

// event is one of the container's, as of the last time that the engine's word was read.
func (m *monitor) event(action string, more ...string) event.Event {
	attributes := map[string]string{}
	for i := 0; i+1 < len(more); i += 2 {
		attributes[more[i]] = more[i+1]
	}
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
