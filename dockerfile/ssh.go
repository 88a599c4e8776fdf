package dockerfile

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// ssh shows --mount=type=ssh: the socket of an agent that signs with the user's keys and gives none away.
func (s *scene) ssh(m *instructions.Mount) error {
	if m.Source != "" {
		return errors.New("ssh does not support source")
	}
	id := m.CacheID
	if id == "" {
		id = "default"
	}
	target := m.Target
	if target == "" {
		target = "/run/buildkit/ssh_agent." + strconv.Itoa(s.agents)
	}
	target = s.target(target)
	if s.agents++; s.agents == 1 {
		s.env = append(s.env, "SSH_AUTH_SOCK="+target)
	}
	from, given := s.build.SSH[id]
	switch {
	case !given && m.Required:
		return fmt.Errorf("no SSH key %q forwarded from the client", id)
	case !given:
		return nil
	}
	log.SetOutput(io.Discard) // where package agent would tell of what readOnly refuses, in the middle of our output
	keys, err := openAgent(from)
	if err != nil {
		return err
	}
	socket, err := s.serve(keys, m)
	s.mounts = append(s.mounts, engine.StepMount{Target: target, Source: socket})
	return err
}

// serve listens on a socket in the build's directory, whose path may be longer than a socket's name can be, unix(7).
func (s *scene) serve(keys agentSource, m *instructions.Mount) (path string, err error) {
	dir, err := s.build.directory()
	if err != nil {
		return "", err
	}
	held, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer held.Close()
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/agent", held.Fd()))
	if err != nil {
		return "", err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s.ends = append(s.ends, l.Close)
	go keys.accept(l)
	path = dir + "/agent"
	uid, gid, mode := owner(m, 0o600)
	return path, errors.Join(os.Chown(path, uid, gid), os.Chmod(path, mode))
}

// agentSource opens the agent for one connection.
type agentSource func() (a agent.Agent, done io.Closer, err error)

// openAgent opens what --ssh names: the socket of an agent, or files with keys. With nothing it is the agent of the environment.
func openAgent(from string) (agentSource, error) {
	if from == "" {
		if from = os.Getenv("SSH_AUTH_SOCK"); from == "" {
			return nil, errors.New("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
		}
	}
	paths := strings.Split(from, ",")
	info, err := os.Stat(paths[0])
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return keyring(paths)
	}
	if len(paths) > 1 {
		return nil, errors.New("only single socket allowed")
	}
	return func() (agent.Agent, io.Closer, error) {
		c, err := net.Dial("unix", from)
		if err != nil {
			return nil, nil, err
		}
		return agent.NewClient(c), c, nil
	}, nil
}

// keyring is an agent of our own.
func keyring(files []string) (agentSource, error) {
	keys := agent.NewKeyring()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		key, err := ssh.ParseRawPrivateKey(data)
		if err != nil {
			return nil, fmt.Errorf("failed to parse %s: %w", file, err)
		}
		if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			return nil, fmt.Errorf("failed to add %s to agent: %w", file, err)
		}
	}
	return func() (agent.Agent, io.Closer, error) { return keys, io.NopCloser(nil), nil }, nil
}

// accept serves who connects until the listener is closed.
func (open agentSource) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			a, done, err := open()
			if err != nil {
				return // who asked sees the end of the connection, as of an agent that has died
			}
			defer done.Close()
			agent.ServeAgent(readOnly{a}, c) //nolint:errcheck // it ends with the connection
		}()
	}
}

// readOnly is an agent whose keys can be used and not changed.
type readOnly struct{ agent.Agent }

var errReadOnly = errors.New("the agent's keys cannot be changed from a build")

func (readOnly) Add(agent.AddedKey) error   { return errReadOnly }
func (readOnly) Remove(ssh.PublicKey) error { return errReadOnly }
func (readOnly) RemoveAll() error           { return errReadOnly }
func (readOnly) Lock([]byte) error          { return errReadOnly }
func (readOnly) Unlock([]byte) error        { return errReadOnly }
