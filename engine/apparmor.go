package engine

import (
	"fmt"
	"os"
	"strings"

	"github.com/moby/profiles/apparmor"
)

// The AppArmor profiles that mean something to us. Docker's name for Docker's profile: whoever looks for it finds it, and a host
// that has Docker too has one of them.
const (
	defaultProfile = "docker-default"
	noProfile      = "unconfined"
)

// armored says whether the kernel confines by AppArmor, and a profile can be given to it: what containerd looks at for Docker.
func armored() bool {
	if on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err != nil || !strings.HasPrefix(string(on), "Y") {
		return false
	}
	for _, path := range []string{"/sys/kernel/security/apparmor", "/sbin/apparmor_parser"} {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// profile is the AppArmor profile that the container's processes run under; empty where there is no AppArmor.
func (r *record) profile(s security) string {
	switch {
	case !armored():
		return ""
	case r.HostConfig.Privileged:
		return noProfile
	}
	return either(s.apparmor, defaultProfile)
}

// arm makes sure that the kernel knows Docker's profile. It forgets profiles at each boot, and updates of AppArmor's own unload what is
// not in /etc/apparmor.d; so each start and exec looks, as Docker's do.
func (c *Containers) arm(profile string) error {
	if profile != defaultProfile {
		return nil
	}
	loaded, err := apparmor.IsLoaded(profile)
	if err != nil {
		return fmt.Errorf("looking for the AppArmor profile %s: %w", profile, err)
	}
	if loaded {
		return nil
	}
	if err := apparmor.InstallDefault(profile); err != nil {
		return &Error{
			Text: "AppArmor enabled on system but the " + profile + " profile could not be loaded: " + err.Error(), Cause: err,
			Hint: &Hint{Why: "the kernel has AppArmor on, and apparmor_parser could not give it the profile", Check: "aa-status", Fix: "--security-opt apparmor=unconfined"},
		}
	}
	c.warn("loaded the AppArmor profile " + profile + ", which confines containers from now on (see aa-status)")
	return nil
}
