package progress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// What a program makes of the messages is what the builder told.
func TestRawJSON(t *testing.T) {
	var out bytes.Buffer
	w := watcher(t, "rawjson", io.Discard, &out)
	i := w.Begin(Task{Kind: Definition, Text: "Dockerfile"})
	i.Status("", 325, 0)
	i.End(nil)
	run := w.Begin(Task{Kind: Instruction, Text: "RUN x", Inside: 2, Of: 2})
	fmt.Fprint(run.Stderr(), "oh\n")
	run.End(exit{})
	if err := w.Close(Result{}, errors.New("broken")); err == nil {
		t.Error("no error")
	}
	var said []string
	names := map[string]string{}
	for d := json.NewDecoder(&out); ; {
		var s solveStatus
		if err := d.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, v := range s.Vertexes {
			names[v.Digest.String()] = v.Name
			said = append(said, fmt.Sprintf("%s ended=%t %s", v.Name, v.Completed != nil, v.Error))
		}
		for _, p := range s.Statuses {
			said = append(said, fmt.Sprintf("%s: %s %d ended=%t", names[p.Vertex.String()], p.ID, p.Current, p.Completed != nil))
		}
		for _, l := range s.Logs {
			said = append(said, fmt.Sprintf("%s: %d %q", names[l.Vertex.String()], l.Stream, l.Data))
		}
	}
	expect(t, "rawjson", strings.Join(said, "\n"), `[internal] load build definition from Dockerfile ended=false 
[internal] load build definition from Dockerfile: transferring dockerfile: 325 ended=false
[internal] load build definition from Dockerfile: transferring dockerfile: 325 ended=true
[internal] load build definition from Dockerfile ended=true 
[2/2] RUN x ended=false 
[2/2] RUN x: 2 "oh\n"
[2/2] RUN x ended=true process "/bin/sh -c false" did not complete successfully: exit code: 1`)
}
