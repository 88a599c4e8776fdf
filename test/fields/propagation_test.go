package fields

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestPropagation mounts on both sides of a bind mount, while the container runs: who sees what. It does so in a mount namespace of its own.
func TestPropagation(t *testing.T) {
	need.SecondKernel(t)
	unshare := need.Program(t, "unshare")
	for _, c := range []struct{ options, inside, outside string }{
		{"rbind", "0", "0"},
		{"rbind rprivate", "0", "0"},
		{"rbind rslave", "1", "0"},
		{"rbind rshared", "1", "1"},
	} {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			on("bind", "shared", strings.Fields(c.options)...)(b.Spec)
			all := append([]string{"CAP_SYS_ADMIN"}, bundle.Capabilities...)
			b.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
			b.Spec.Process.Args = []string{"probe", "wait"}
			b.Write(t)
			script := `set -e
				mkdir "$1/shared"; mount -t tmpfs shared "$1/shared"; mount --make-shared "$1/shared"; mkdir "$1/shared/out" "$1/shared/in"
				run() { "$bin/glassrun" --root "$dir/state" "$@"; }
				dir=$1 bin=$2 id=$3
				run run --detach --bundle "$dir" "$id" >/dev/null </dev/null
				trap 'run delete --force "$id"' EXIT
				mount -t tmpfs seen "$dir/shared/out"
				run exec "$id" sh -c 'grep -c " /mnt/out " /proc/self/mountinfo; mount -t tmpfs made /mnt/in'
				grep -c " $dir/shared/in " /proc/self/mountinfo || true`
			out, err := exec.Command(unshare, "-m", "sh", "-c", script, "sh", b.Dir, filepath.Clean(need.Programs(t)), b.ID).CombinedOutput()
			if err != nil || string(out) != c.inside+"\n"+c.outside+"\n" {
				t.Errorf("%v; the container sees the host's and the host the container's:\n%s\nwant %s and %s", err, out, c.inside, c.outside)
			}
		})
	}
}
