package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
)

func logoutVerb() verb {
	return verb{
		use: "logout [SERVER]", short: "Log out from a registry",
		long: "Log out from a registry.\nIf no server is specified, the default is defined by the daemon.", max: 1, group: common,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error { return c.logout(append(args, "")[0]) }
		},
	}
}

func (c *call) logout(server string) error {
	c.tellEnvironment()
	file, err := c.credentialsFile()
	if err != nil {
		return err
	}
	// A server may have been logged in to under any of these names; Docker's own login to Docker Hub leaves two tokens more.
	shown, all := hubServer, []string{hubServer, hubServer + "access-token", hubServer + "refresh-token"}
	if server != "" {
		shown = credentials.ConvertToHostname(server)
		all = []string{server, shown, "http://" + shown, "https://" + shown}
	}
	fmt.Fprintln(c.stdout, "Removing login credentials for", shown)
	failed := map[string]error{}
	err = keepOthers(file, func() error {
		for _, name := range all {
			if err := file.GetCredentialsStore(name).Erase(name); err != nil {
				failed[name] = err
			}
		}
		return nil
	})
	if err != nil {
		return plainFailure("%w", err)
	}
	if len(failed) == len(all) {
		fmt.Fprintln(c.stderr, "WARNING: could not erase credentials:")
		for _, name := range all {
			fmt.Fprintf(c.stderr, "%s: %s\n", name, failed[name])
		}
	}
	return nil
}

// keepOthers changes the configuration file and puts back what its package does not know and would lose: other programs' settings.
func keepOthers(file *configfile.ConfigFile, change func() error) error {
	before, err := others(file.Filename)
	if err != nil {
		return err
	}
	if err := change(); err != nil || len(before) == 0 {
		return err
	}
	after, err := others(file.Filename)
	if err != nil {
		return err
	}
	lost := false
	for key, value := range before {
		if _, there := after[key]; !there && !isKnown(key) {
			after[key], lost = value, true
		}
	}
	if !lost {
		return nil
	}
	raw, err := json.MarshalIndent(after, "", "\t")
	if err != nil {
		return err
	}
	return rewrite(file.Filename, raw)
}

// others are the settings of the file, by their names.
func others(name string) (map[string]json.RawMessage, error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 {
		return map[string]json.RawMessage{}, nil
	}
	all := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	return all, err
}

// isKnown tells a setting that the package writes itself, if there is anything to write.
func isKnown(key string) bool {
	raw, err := json.Marshal(map[string]string{key: ""})
	if err != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&configfile.ConfigFile{})
	var wrong *json.UnmarshalTypeError
	return err == nil || errors.As(err, &wrong)
}

// rewrite writes a file anew, through the link if it is one, with the mode that it has.
func rewrite(name string, raw []byte) error {
	if to, err := filepath.EvalSymlinks(name); err == nil {
		name = to
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name))
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
