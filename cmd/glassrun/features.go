package main

import (
	"encoding/json"
	"os"

	"glassbox/oci"
)

// showFeatures is `glassrun features`.
func showFeatures(_ globals, args []string) error {
	if _, err := parse(flagSet("features"), args, 0, 0); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "    ")
	return out.Encode(oci.Features())
}
