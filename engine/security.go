package engine

import (
	"fmt"
	"strconv"
	"strings"
)

// security is --security-opt, read.
type security struct {
	noNewPrivileges bool
	systemPaths     bool // neither masked nor read-only paths
	writableCgroups *bool
	seccomp         string // a profile, in Docker's JSON; or one of the words below
	apparmor        string // a profile's name; or unconfined
	labels          []string
}

// What --security-opt seccomp= takes instead of a profile.
const (
	builtinFilter = "builtin" // Docker's default profile
	noFilter      = "unconfined"
)

// parseSecurity reads the options as Docker's daemon does (moby's daemon/daemon_unix.go, parseSecurityOpt).
func parseSecurity(opts []string) (security, error) {
	var s security
	for _, opt := range opts {
		k, v, ok := strings.Cut(opt, "=")
		if !ok {
			k, v, ok = strings.Cut(opt, ":")
		}
		if err := s.option(opt, k, v, ok); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *security) option(opt, k, v string, valued bool) error {
	flag := true
	switch {
	case opt == "disable": // an old spelling of label=disable
		s.labels = append(s.labels, opt)
	case k == "no-new-privileges" || k == "writable-cgroups":
		if valued {
			var err error
			if flag, err = strconv.ParseBool(v); err != nil {
				return invalid("invalid --security-opt 2: %q", opt)
			}
		}
		if k == "no-new-privileges" {
			s.noNewPrivileges = flag
		} else {
			s.writableCgroups = &flag
		}
	case !valued:
		return invalid("invalid --security-opt 1: %q", opt)
	case k == "systempaths" && v == "unconfined":
		s.systemPaths = true
	case k == "seccomp":
		s.seccomp = v
	case k == "apparmor":
		s.apparmor = v
	case k == "label":
		s.labels = append(s.labels, v)
	default:
		return invalid("invalid --security-opt 2: %q", opt)
	}
	return nil
}

// validateSecurity refuses what cannot be read, and warns of what this kernel does not have, where Docker says nothing.
func validateSecurity(opts []string) (warnings []string, err error) {
	s, err := parseSecurity(opts)
	if err != nil {
		return nil, err
	}
	const discarded = "Your kernel does not support %s, or it is switched off. %s %q discarded."
	if s.apparmor != "" && s.apparmor != noProfile && !armored() {
		warnings = append(warnings, fmt.Sprintf(discarded, "AppArmor", "Profile", s.apparmor))
	}
	if selinux() {
		_, err = labelled(selinuxDir, s.labels, "")
		return warnings, err
	}
	for _, l := range s.labels {
		if l != noLabel {
			warnings = append(warnings, fmt.Sprintf(discarded, "SELinux", "Label", l))
		}
	}
	return warnings, nil
}
