package engine

import (
	"strconv"
	"strings"
)

// security is --security-opt, read.
type security struct {
	noNewPrivileges bool
	systemPaths     bool // neither masked nor read-only paths
	writableCgroups *bool
	seccomp         string // a profile, in Docker's JSON; or one of the words below
}

// What --security-opt seccomp= takes instead of a profile.
const (
	builtinFilter = "builtin" // Docker's default profile
	noFilter      = "unconfined"
)

// parseSecurity accepts the options that describe what is, and refuses the profiles of later versions by name.
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
	case k == "label" && v == "disable", k == "apparmor" && v == "unconfined":
		// That is how this version runs every container.
	case k == "seccomp":
		s.seccomp = v
	case k == "apparmor":
		return later("the AppArmor profile " + strconv.Quote(v))
	case k == "label":
		return later("the SELinux label " + strconv.Quote(v))
	default:
		return invalid("invalid --security-opt 2: %q", opt)
	}
	return nil
}
