package dockerfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"glassbox/engine"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// maxSecret is the largest secret that BuildKit takes.
const maxSecret = 500 << 10

// secret shows --mount=type=secret: as a file, as a variable, or as both. Neither the file nor the variable is in a layer, in the history, or in what
// `inspect` shows.
func (s *scene) secret(m *instructions.Mount) error {
	id := m.CacheID
	if m.Source != "" {
		id = m.Source
	}
	if id == "" {
		id = path.Base(m.Target)
	}
	data, found, err := s.build.secret(id)
	switch {
	case err != nil:
		return err
	case !found && m.Required:
		return fmt.Errorf("secret %s: not found", id)
	case !found:
		return nil
	}
	if m.Env != nil {
		s.env = append(s.env, *m.Env+"="+string(data))
		if m.Target == "" {
			return nil
		}
	}
	target := m.Target
	if target == "" {
		target = "/run/secrets/" + path.Base(id)
	}
	d := &engine.StepData{Bytes: data}
	d.UID, d.GID, d.Mode = owner(m, 0o400)
	s.mounts = append(s.mounts, engine.StepMount{Target: s.target(target), ReadOnly: true, Data: d})
	return nil
}

// secret reads one of --secret.
func (b *build) secret(id string) (data []byte, found bool, err error) {
	from, given := b.Secrets[id]
	switch {
	case !given:
		return nil, false, nil
	case from.Env != "":
		value, set := os.LookupEnv(from.Env)
		return []byte(value), set, tooLarge(id, len(value))
	}
	f, err := os.Open(from.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxSecret+1))
	return data, true, errors.Join(err, tooLarge(id, len(data)))
}

func tooLarge(id string, size int) error {
	if size > maxSecret {
		return fmt.Errorf("invalid secret size %d for %s: a secret has at most %d bytes", size, id, maxSecret)
	}
	return nil
}
