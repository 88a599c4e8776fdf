package progress

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// rawJSON writes BuildKit's SolveStatus messages, for programs.
type rawJSON struct {
	enc   *json.Encoder
	names map[*vertex]digest.Digest
	err   error
}

type (
	solveStatus struct {
		Vertexes []solveVertex  `json:"vertexes,omitempty"`
		Statuses []solvePart    `json:"statuses,omitempty"`
		Logs     []solveLog     `json:"logs,omitempty"`
		Warnings []solveWarning `json:"warnings,omitempty"`
	}
	solveVertex struct {
		Digest    digest.Digest `json:"digest"`
		Name      string        `json:"name"`
		Started   *time.Time    `json:"started,omitempty"`
		Completed *time.Time    `json:"completed,omitempty"`
		Cached    bool          `json:"cached,omitempty"`
		Error     string        `json:"error,omitempty"`
	}
	solvePart struct {
		ID        string        `json:"id"`
		Vertex    digest.Digest `json:"vertex"`
		Total     int64         `json:"total,omitempty"`
		Current   int64         `json:"current"`
		Timestamp time.Time     `json:"timestamp"`
		Started   *time.Time    `json:"started,omitempty"`
		Completed *time.Time    `json:"completed,omitempty"`
	}
	solveLog struct {
		Vertex    digest.Digest `json:"vertex"`
		Stream    int           `json:"stream"`
		Data      []byte        `json:"data"`
		Timestamp time.Time     `json:"timestamp"`
	}
)

type solveWarning struct {
	Level int    `json:"level"`
	Short []byte `json:"short"`
}

func newRawJSON(out io.Writer) *rawJSON {
	return &rawJSON{enc: json.NewEncoder(out), names: map[*vertex]digest.Digest{}}
}

func (r *rawJSON) send(s solveStatus) {
	if err := r.enc.Encode(s); err != nil && r.err == nil {
		r.err = err
	}
}

// begun gives v the digest by which the others name it. BuildKit's is that of its recipe; ours stands for its place.
func (r *rawJSON) begun(v *vertex) {
	sum := sha256.Sum256(fmt.Append(nil, len(r.names), " ", v.name))
	r.names[v] = digest.NewDigestFromBytes(digest.SHA256, sum[:])
	r.vertex(v)
}

func (r *rawJSON) ended(v *vertex) {
	for _, p := range v.parts {
		if p.ended.Equal(v.ended) {
			r.moved(v, p)
		}
	}
	r.vertex(v)
}

func (r *rawJSON) vertex(v *vertex) {
	s := solveVertex{Digest: r.names[v], Name: v.name, Started: moment(v.began), Completed: moment(v.ended), Cached: v.cached}
	if v.err != nil {
		s.Error = words(v.err)
	}
	r.send(solveStatus{Vertexes: []solveVertex{s}})
}

func (r *rawJSON) moved(v *vertex, p *part) {
	r.send(solveStatus{Statuses: []solvePart{{
		ID: p.id, Vertex: r.names[v], Total: p.total, Current: p.current,
		Timestamp: time.Now().UTC(), Started: moment(p.began), Completed: moment(p.ended),
	}}})
}

func (r *rawJSON) wrote(v *vertex, stream int, b []byte) {
	r.send(solveStatus{Logs: []solveLog{{Vertex: r.names[v], Stream: stream, Data: b, Timestamp: time.Now().UTC()}}})
}

func (r *rawJSON) refresh() {}
func (r *rawJSON) close(_ []*vertex, _ script, result Result, _ error) error {
	for _, line := range result.Warnings {
		r.send(solveStatus{Warnings: []solveWarning{{1, []byte(line)}}})
	}
	return r.err
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
