package engine

import (
	"slices"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// eventSieve is `events --filter`. Keys that it does not know let everything pass, as in Docker.
type eventSieve struct{ filters.Args }

// nameKeys are the keys that name a thing, by its type: what begins with their value passes, whatever the event's own type is.
var nameKeys = []events.Type{
	events.DaemonEventType, events.ContainerEventType, events.PluginEventType, events.VolumeEventType, events.NetworkEventType,
	events.NodeEventType, events.ServiceEventType, events.SecretEventType, events.ConfigEventType,
}

func (f eventSieve) passes(m events.Message) bool {
	return f.action(string(m.Action)) && f.ExactMatch("type", string(m.Type)) && f.ExactMatch("scope", m.Scope) &&
		!slices.ContainsFunc(nameKeys, func(t events.Type) bool { return !f.thing(string(t), m.Actor) }) &&
		f.image(m) && f.MatchKVList("label", m.Actor.Attributes)
}

// action: some actions go on after a colon.
func (f eventSieve) action(action string) bool {
	for _, v := range f.Get("event") {
		if v == "health_status" || v == "exec_create" || v == "exec_start" {
			return f.FuzzyMatch("event", action)
		}
	}
	return f.ExactMatch("event", action)
}

func (f eventSieve) thing(key string, a events.Actor) bool {
	return f.FuzzyMatch(key, a.ID) || f.FuzzyMatch(key, a.Attributes["name"])
}

// image also lets containers of the image pass, and leaves tags out of account.
func (f eventSieve) image(m events.Message) bool {
	name := m.Actor.Attributes["image"]
	if m.Type == events.ImageEventType {
		name = m.Actor.Attributes["name"]
	}
	names := []string{m.Actor.ID, name, untagged(m.Actor.ID), untagged(name)}
	return slices.ContainsFunc(names, func(s string) bool { return f.ExactMatch("image", s) })
}

func untagged(image string) string {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	return reference.FamiliarName(ref)
}
