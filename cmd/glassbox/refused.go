package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// refused are the flags of Docker's that this build cannot honour, each with the reason. Ignoring one would let a
// container run otherwise than it was asked to.
var refused = map[string]string{
	"kernel-memory":  "cgroup v2 has no limit for kernel memory alone: it is part of --memory",
	"use-api-socket": "glassbox has no daemon, so there is no API socket to mount",
}

// refuse finds the first flag given that this build cannot honour.
func refuse(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if why, is := refused[flag.Name]; is && err == nil {
			err = fmt.Errorf("--%s: %s", flag.Name, why)
		}
	})
	if err == nil && f.Lookup("disable-content-trust").Value.String() != "true" {
		err = errors.New("--disable-content-trust=false: this build verifies digests, not Notary signatures")
	}
	return err
}

// refuseUpdate finds the first flag of update's that Docker takes and then drops without a word.
func refuseUpdate(f *pflag.FlagSet) error {
	for _, name := range []string{"kernel-memory", "cpu-rt-period", "cpu-rt-runtime"} {
		if f.Changed(name) {
			return fmt.Errorf("--%s: %s", name, cmp.Or(refused[name], "cgroup v2 has no file for it"))
		}
	}
	return nil
}

// refuseWindows words what Docker's client says of flags for Windows.
func refuseWindows(f *pflag.FlagSet) error {
	for _, name := range windowsFlags {
		if f.Changed(name) {
			return plainFailure(`"--%s" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`, name)
		}
	}
	return nil
}
