package network

// Present is an interface that the host has.
type Present struct {
	Name   string
	Kind   string // veth, bridge, macvlan, ...; empty: a physical one
	Master string // of which bridge it is a port
}

// Interfaces are those of the host.
func Interfaces() ([]Present, error) {
	var links []link
	err := here.speak(func(s *socket) (err error) {
		links, err = s.links(0)
		return err
	})
	names := map[int]string{}
	for _, l := range links {
		names[l.index] = l.name
	}
	var all []Present
	for _, l := range links {
		all = append(all, Present{l.name, l.kind, names[l.master]})
	}
	return all, err
}
