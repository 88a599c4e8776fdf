package build

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// different are the lines that only one of two sorted-like lists has, but for those that contain one of the words.
func different(want, have, but []string) string {
	var b strings.Builder
	only := func(mark string, a, other []string) {
		left := map[string]int{}
		for _, line := range other {
			left[line]++
		}
		for _, line := range a {
			if left[line]--; left[line] < 0 && !slices.ContainsFunc(but, func(word string) bool { return strings.Contains(line, word) }) {
				fmt.Fprintf(&b, "  %s %s\n", mark, line)
			}
		}
	}
	only("-", want, have)
	only("+", have, want)
	return b.String()
}

// settings are the lines of an image's configuration: each value with the path that leads to it. What says nothing (null, "", false, empty
// lists and objects) is left out, and so is what must be another one each time.
func settings(config []byte) []string {
	var document map[string]any
	if err := json.Unmarshal(config, &document); err != nil {
		return []string{err.Error()}
	}
	for _, always := range []string{"created", "parent", "container", "container_config", "docker_version", "rootfs", "moby.buildkit.buildinfo.v1", "moby.buildkit.cache.v0", "id"} {
		delete(document, always)
	}
	if inner, ok := document["config"].(map[string]any); ok {
		delete(inner, "Image") // the parent's id
		delete(inner, "Hostname")
		delete(inner, "ArgsEscaped") // means nothing on Linux
	}
	if history, ok := document["history"].([]any); ok {
		for _, one := range history {
			delete(one.(map[string]any), "created")
		}
	}
	var lines []string
	flatten(&lines, "", document)
	slices.Sort(lines)
	return lines
}

func flatten(lines *[]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			// An empty object that is a member of a set is its name: ExposedPorts, Volumes.
			if m, ok := value.(map[string]any); ok && len(m) == 0 && strings.Count(path, ".") >= 2 {
				*lines = append(*lines, path+"."+key)
			}
			flatten(lines, path+"."+key, value)
		}
	case []any:
		for i, value := range v {
			flatten(lines, fmt.Sprintf("%s[%d]", path, i), value)
		}
	case nil:
	default:
		if s := fmt.Sprint(v); s != "" && s != "false" && s != "0" {
			*lines = append(*lines, path+" = "+identifiers.ReplaceAllString(s, "ID"))
		}
	}
}

// withoutHistory leaves a configuration's history out, which each kind of builder words its own way.
func withoutHistory(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, ".history") })
}

var identifiers = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`)

// said is what the classic builder printed, without what is another each time, what it says about itself, and the containers that it
// makes for instructions of which nothing runs.
func said(o Outcome) []string {
	var lines []string
	runs := false
	for line := range strings.Lines(identifiers.ReplaceAllString(o.Output, "ID")) {
		line = tagged.ReplaceAllString(strings.TrimRight(line, "\n"), "$1")
		if step, instruction, found := strings.Cut(line, " : "); found && strings.HasPrefix(step, "Step ") {
			runs = strings.HasPrefix(instruction, "RUN ")
		}
		line = colour.ReplaceAllString(line, "")
		line = port.ReplaceAllString(ofWhom.ReplaceAllString(line, ""), "]:PORT")
		if ofPull.MatchString(line) {
			continue
		}
		if !runs && ofContainer.MatchString(line) || ofItself.MatchString(line) || line == "" {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

var (
	ofWhom = regexp.MustCompile(`^(glassbox: |Error response from daemon: )`)
	colour = regexp.MustCompile(`\x1b\[\d+m`)
	// Who has pulled an image for another case says nothing here. A mirror that has not got one is named by us alone.
	ofPull      = regexp.MustCompile(`^(ID|[\w.-]+): (Pulling|Already|Waiting|Download|Verifying|Extracting|Pull complete)|^Digest: sha256:|^Status: |^Mirror `)
	port        = regexp.MustCompile(`\]:\d+`)
	tagged      = regexp.MustCompile(`^(Successfully tagged corpus-.*):\w+$`)
	ofContainer = regexp.MustCompile(`^ ---> (Running in|Removed intermediate container) ID$`)
	ofItself    = regexp.MustCompile(`^DEPRECATED: |^ +(BuildKit is currently disabled|environment-variable\.$|Install the buildx|https://docs\.docker\.com/go/buildx)`)
)
