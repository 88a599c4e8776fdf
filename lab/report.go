package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Report is a student's file. Its sum tells a slip of an editor; it proves nothing against who wants to cheat, for everybody can compute it.
type Report struct {
	Format  int              `json:"format"`
	Student string           `json:"student"`
	Machine string           `json:"machine"`
	Written string           `json:"written"` // RFC 3339
	Lessons []ReportedLesson `json:"lessons"`
	Sum     string           `json:"sum"` // SHA-256 of the rest, as JSON without blanks
}

// ReportedLesson is what was done of a lesson.
type ReportedLesson struct {
	Lesson string `json:"lesson"`
	record
}

const reportFormat = 1

// Report makes the file of a student.
func (d *Desk) Report(student string) (*Report, error) {
	p, err := d.progress()
	if err != nil {
		return nil, err
	}
	r := &Report{Format: reportFormat, Student: student, Written: now(), Lessons: []ReportedLesson{}}
	r.Machine, _ = os.Hostname()
	for id, lesson := range p {
		r.Lessons = append(r.Lessons, ReportedLesson{id, *lesson})
	}
	slices.SortFunc(r.Lessons, func(a, b ReportedLesson) int { return bytes.Compare([]byte(a.Lesson), []byte(b.Lesson)) })
	r.Sum, err = r.sum()
	return r, err
}

// Write writes it, for people to read too.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r *Report) sum() (string, error) {
	bare := *r
	bare.Sum = ""
	text, err := json.Marshal(bare)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// mostReport is how big a report may be. A class's reports have some kilobytes each.
const mostReport = 1 << 20

// readReport reads one. Whoever wrote it may have written anything.
func readReport(data []byte) (*Report, error) {
	if len(data) > mostReport {
		return nil, fmt.Errorf("more than %d bytes", mostReport)
	}
	r := &Report{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(r); err != nil {
		return nil, err
	}
	switch {
	case decoder.More():
		return nil, errors.New("there is more behind the report")
	case r.Format != reportFormat:
		return nil, fmt.Errorf("it has format %d, and this glassbox reads %d", r.Format, reportFormat)
	}
	for _, l := range r.Lessons {
		if slices.Contains(l.Tasks, nil) {
			return nil, fmt.Errorf("lesson %s has a task that is null", clipped(l.Lesson))
		}
	}
	return r, nil
}
