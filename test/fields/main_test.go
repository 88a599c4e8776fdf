// Package fields tests config.json field by field: each row of its tables changes one field, runs `glassrun` on the bundle and compares
// what a probe saw inside, or which field the refusal names. A row says what it needs of the machine; what is missing is found by trying,
// and named in the skip. The tables run on this machine and on the VM's kernel (go run ./test/vm test ./test/fields).
package fields

import (
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/fields/probe"
)

// TestMain is also the probe: this program lies in each bundle's root file system under that name.
func TestMain(m *testing.M) { bundle.Main(m, "probe", probe.Run, applets) }

// applets are what rows use of busybox's: each is one more link in every bundle.
const applets = "awk basename cat chmod chown cp cut date dd df dirname dmesg du echo env expr false find getopt grep head hostname id ip kill ln ls mkdir mknod " +
	"mount mv nproc od printf ps pwd readlink realpath rm rmdir sed seq sh sleep sort stat stty sync tail tee test touch tr true tty umount uname uniq wc which xargs"
