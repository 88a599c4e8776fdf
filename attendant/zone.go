package attendant

import (
	"net/netip"
	"os"
	"slices"
	"strings"

	"glassbox/store"
)

// directory is a zone as it was read last.
type directory struct {
	Zone
	seen      stamp // zero: to be read anew
	documents map[string]*document
	names     map[string][]netip.Addr // both families
	reverse   map[netip.Addr]string
}

// document is the file of one host.
type document struct {
	seen stamp
	host Host
}

// refresh reads what has changed since the last time. A directory that is not there is empty.
func (d *directory) refresh() {
	now, settled := look(d.Dir)
	if now == d.seen && now != (stamp{}) {
		return
	}
	changed := d.read()
	d.seen = stamp{}
	if settled {
		d.seen = now
	}
	if changed {
		d.index()
	}
}

func (d *directory) read() (changed bool) {
	there := map[string]*document{}
	f, err := os.Open(d.Dir)
	if err == nil {
		defer f.Close()
		names, _ := f.Readdirnames(-1)
		for _, name := range names {
			if !strings.HasSuffix(name, ".json") {
				continue
			}
			doc, same := d.document(name)
			if doc != nil {
				there[name] = doc
			}
			changed = changed || !same
		}
	}
	changed = changed || len(there) != len(d.documents)
	d.documents = there
	return changed
}

// document reads a host's document if it is not the one that is known; nil when it cannot be read: it is going, or just coming.
func (d *directory) document(name string) (doc *document, same bool) {
	path := d.Dir + "/" + name
	now, settled := look(path)
	known := d.documents[name]
	if known != nil && now == known.seen && now != (stamp{}) {
		return known, true
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, known == nil
	}
	doc = &document{}
	if settled {
		doc.seen = now
	}
	if store.Decode(data, &doc.host) != nil {
		return nil, known == nil
	}
	return doc, known != nil && known.host.equal(doc.host)
}

func (h Host) equal(o Host) bool {
	return h.ID == o.ID && slices.Equal(h.Names, o.Names) && slices.Equal(h.Addresses, o.Addresses)
}

// index makes the maps anew, hosts in the order of their documents' names.
func (d *directory) index() {
	d.names, d.reverse = map[string][]netip.Addr{}, map[netip.Addr]string{}
	files := make([]string, 0, len(d.documents))
	for file := range d.documents {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		d.add(d.documents[file].host)
	}
}

func (d *directory) add(h Host) {
	if len(h.Names) == 0 {
		return
	}
	for _, a := range h.Addresses {
		a = a.Unmap().WithZone("")
		d.reverse[a] = h.Names[0]
		for _, name := range h.Names {
			name = strings.ToLower(name)
			if !slices.Contains(d.names[name], a) {
				d.names[name] = append(d.names[name], a)
			}
		}
	}
}
