package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// complaint is a line in which a program says that it was refused something.
type complaint struct {
	words    []string
	named    bool // with an absolute path among the words
	readOnly bool // EROFS rather than EACCES
	writes   bool // it was about to make, change or remove something
}

// complaints finds the lines that speak of permission, in whatever language a program is written.
func complaints(text string) []complaint {
	var found []complaint
	for line := range strings.Lines(text) {
		lower := strings.ToLower(line)
		readOnly := containsAny(lower, "read-only file system", "erofs")
		if !readOnly && !containsAny(lower, "permission denied", "eacces", "access denied", "accessdenied", "not permitted to open") {
			continue
		}
		c := complaint{
			readOnly: readOnly,
			writes:   containsAny(lower, "create", "mkdir", "write", "touch", "remove", "unlink", "rename", "append", "delete", "mkfifo"),
		}
		for _, w := range strings.FieldsFunc(line, between) {
			if w = strings.TrimRight(w, ":."); w != "" {
				c.words = append(c.words, w)
				c.named = c.named || strings.HasPrefix(w, "/")
			}
		}
		found = append(found, c)
	}
	return found
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// between is what stands around a file's name in an error.
func between(r rune) bool { return strings.ContainsRune(" \t\r\n'\"`‘’“”,;()[]<>=", r) }

// paths are the words that can be files: those that look like one, or else all, seen from the working directory.
func (c complaint) paths(cwd string) []string {
	var found []string
	for _, w := range c.words {
		if strings.HasPrefix(w, "/") {
			found = append(found, path.Clean(w))
		} else if !c.named {
			found = append(found, path.Join(cwd, w))
		}
	}
	return found
}

// lastWords is the end of what the container has said.
func (r *record) lastWords() (string, error) {
	const enough = 64 << 10
	f, err := os.Open(r.place.Log())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-enough), enough))
	var text strings.Builder
	for line := range bytes.Lines(data) {
		var entry struct{ Log string }
		if json.Unmarshal(line, &entry) == nil { // the first one may be cut
			text.WriteString(entry.Log)
		}
	}
	return text.String(), err
}
