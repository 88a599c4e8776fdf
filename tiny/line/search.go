package line

import "strings"

// search is Ctrl-R: the history backwards.
type search struct {
	query []rune
	from  int // the history line shown
	draft []rune
}

func (s *search) prompt() string { return "(reverse-i-search)`" + string(s.query) + "': " }

func (e *Editor) startSearch() {
	e.search = &search{from: len(e.History), draft: e.text}
	e.stale = true
}

// searchKey takes a key while searching; false means that it ends the search and acts as usual.
func (e *Editor) searchKey(r rune) bool {
	s := e.search
	switch {
	case r == control('R'):
		e.look(s.from - 1)
	case r == control('H') || r == 0x7f:
		if len(s.query) > 0 {
			s.query = s.query[:len(s.query)-1]
			e.look(len(e.History) - 1)
		}
	case r == control('G'):
		e.text, e.at = s.draft, len(s.draft)
		e.search, e.stale = nil, true
	case r >= ' ':
		s.query = append(s.query, r)
		e.look(min(s.from, len(e.History)-1))
	default:
		e.search, e.stale = nil, true
		if s.from < len(e.History) {
			e.past = s.from
		}
		return false
	}
	e.stale = true
	return true
}

func (e *Editor) look(from int) {
	for i := from; i >= 0; i-- {
		if strings.Contains(e.History[i], string(e.search.query)) {
			e.search.from = i
			e.text = []rune(e.History[i])
			e.at = len(e.text)
			return
		}
	}
	e.out = append(e.out, '\a')
}
