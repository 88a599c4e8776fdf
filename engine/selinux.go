package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// noLabel turns labels off.
const noLabel = "disable"

// labels are a container's SELinux contexts: what its processes run as, and what its files are.
type labels struct{ process, mount string }

// selinux says whether the kernel enforces or logs by SELinux: only then its file system can be mounted, selinux(8).
func selinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

// labels are those that --security-opt label= asks for. Without it there are none, as of a Docker daemon without --selinux-enabled.
func (r *record) labels(s security) (labels, error) {
	if !selinux() {
		return labels{}, nil
	}
	return labelled(selinuxDir, s.labels, r.ID)
}

// labelled changes the policy's contexts for containers as the options say. The level, where none is said, has two categories of the
// container's own, so that it cannot touch what another one has.
func labelled(policy string, options []string, id string) (labels, error) {
	if len(options) == 0 {
		return labels{}, nil
	}
	process, mount := contextParts{}, contextParts{}
	level := ""
	for _, o := range options {
		k, v, ok := strings.Cut(o, ":")
		switch {
		case o == noLabel:
			return labels{}, nil
		case !ok || v == "":
			return labels{}, badLabel(o)
		case k == "level":
			level = v
		case k == "filetype":
			mount["type"] = v
		case k == "user":
			process[k], mount[k] = v, v
		case k == "role" || k == "type":
			process[k] = v
		default:
			return labels{}, badLabel(o)
		}
	}
	if level == "" {
		level = "s0:" + categories(id)
	}
	process["level"], mount["level"] = level, level
	defaults, err := policyContexts(policy)
	if err != nil {
		return labels{}, err
	}
	return labels{process.over(defaults["process"]), mount.over(defaults["file"])}, nil
}

func badLabel(o string) error {
	return invalid("invalid --security-opt: bad label option %q, valid options are disable, user, role, type, level and filetype", o)
}

// contextParts are the parts of an SELinux context that are not as the policy has them.
type contextParts map[string]string

// over puts the parts into a whole context: user:role:type:level.
func (c contextParts) over(whole string) string {
	parts := strings.SplitN(whole, ":", 4)
	for i, name := range []string{"user", "role", "type", "level"} {
		v, ok := c[name]
		switch {
		case !ok:
		case i < len(parts):
			parts[i] = v
		case i == len(parts):
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, ":")
}

// categories are two of the 1024, lower one first, which follow from the container's id and so stay the same over its restarts.
func categories(id string) string {
	n, _ := strconv.ParseUint(id[:min(8, len(id))], 16, 32)
	low := n % 1023
	high := low + 1 + n/1023%(1023-low)
	return fmt.Sprintf("c%d,c%d", low, high)
}

const selinuxDir = "/etc/selinux"

// policyContexts reads what the installed policy says containers are: lxc_contexts(5).
func policyContexts(dir string) (map[string]string, error) {
	config, err := assignments(dir + "/config")
	if err != nil {
		return nil, err
	}
	path := dir + "/" + config["SELINUXTYPE"] + "/contexts/lxc_contexts"
	contexts, err := assignments(path)
	if err == nil && (contexts["process"] == "" || contexts["file"] == "") {
		err = fmt.Errorf("%s: names no context for a container's process and file", path)
	}
	return contexts, err
}

// assignments reads NAME = "VALUE" lines.
func assignments(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			all[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return all, nil
}
