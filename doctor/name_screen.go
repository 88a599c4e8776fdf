package doctor

import (
	"io"

	"glassbox/screen"
)

// Show prints the stations, and what came of the whole.
func (w *Way) Show(out io.Writer, style screen.Style) error {
	s := screen.New(out, style)
	who := "as this host looks it up"
	if w.Container != "" {
		who = "as container " + w.Container + " looks it up"
	}
	s.Title("%s, %s", screen.Shown(w.Name), who)
	s.Blank()
	var rows [][]screen.Cell
	for _, h := range w.Stations {
		row := screen.Row(screen.Shown(h.Station), string(h.Result), shown(h.Found))
		row[1].Tone = h.Result.tone()
		rows = append(rows, row)
	}
	s.Table([]string{"STATION", "", "WHAT CAME OF IT"}, rows)
	s.Blank()
	if w.OK() {
		s.Tell(screen.Good, shown(w.Verdict))
		s.Next("glassbox lab start names-dns", "how it comes about")
		return s.Flush()
	}
	s.Fields(screen.Field{Label: "fail", Value: shown(w.Verdict), Tone: screen.Bad}, screen.Field{Label: "why:", Value: w.Why},
		screen.Field{Label: "fix:", Value: w.Fix}, screen.Field{Label: "learn:", Value: "glassbox lab start names-dns"})
	s.Next("glassbox doctor network", "packets through a bridge, firewalls, servers: tried")
	return s.Flush()
}
