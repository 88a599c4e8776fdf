package image

import (
	"maps"

	"glassbox/event"
)

// tell tells of what was done to an image.
func (s *Store) tell(events ...event.Event) {
	if s.Tell != nil && len(events) > 0 {
		s.Tell(events...)
	}
}

// event is one of an image, or of the reference id that leads to it, under this name. It has the image's labels.
func (img *Image) event(id, action, name string) event.Event {
	attributes := map[string]string{}
	maps.Copy(attributes, img.Config.Config.Labels)
	attributes["name"] = name
	return event.Event{Type: "image", Action: action, ID: id, Attributes: attributes}
}
