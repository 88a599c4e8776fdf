package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"glassbox/oci"
)

// writeSpec is `glassrun spec`.
func writeSpec(_ globals, args []string) error {
	flags := flagSet("spec")
	bundle, rootless := ".", false
	stringVar(flags, &bundle, "bundle", "b")
	boolVar(flags, &rootless, "rootless")
	if _, err := parse(flags, args, 0, 0); err != nil {
		return err
	}
	s := oci.Example()
	if rootless {
		s = oci.Rootless(uint32(os.Geteuid()), uint32(os.Getegid()))
	}
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(bundle, "config.json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("file config.json exists, remove it first")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
