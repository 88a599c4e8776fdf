package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/traces"
	"glassbox/test/world"
)

// One of each kind of thing that can be left over or wrong: the check names it, with --dry-run leaves it, and else cleans it; what is alive
// stays as it is.
func TestCheckNamesAndCleans(t *testing.T) {
	root, run := os.Getenv("GLASSBOX_ROOT"), os.Getenv("GLASSBOX_RUN")
	if err := os.MkdirAll(root+"/idranges", 0o700); err != nil {
		t.Fatal(err)
	}
	settled := account(t)
	t.Cleanup(func() { tidyUp(t) })
	start := func(args ...string) string {
		t.Helper()
		return lines(t, append([]string{"run", "-d", "--network", "side", "-p", "80", "-v", "data:/v"}, args...)...)[0]
	}
	alive := start("--name", "alive", "tiny", "sleep", "1000")
	ended := start("--name", "ended", "tiny", "sleep", "1000")
	lost := start("--name", "lost", "tiny", "sleep", "1000")
	network := lines(t, "network", "inspect", "-f", "{{.Id}}", "side")[0]
	strange := strings.Repeat("a", 64)

	process := lines(t, "inspect", "-f", "{{.State.Pid}}", "ended")[0]
	kill(t, "monitor", alive)
	kill(t, "attend", alive)
	kill(t, "monitor", ended)
	kill(t, "", process)
	for _, left := range []struct{ what, command string }{
		{"half a container", "mkdir " + root + "/containers/" + strange},
		{"half a volume", "mkdir " + root + "/volumes/.new-123456"},
		{"half a network", "mkdir " + root + "/networks/" + strange},
		{"half a layer", "mkdir " + root + "/layers/temp/half"},
		{"a layer of nobody's", "mkdir " + root + "/layers/4711"},
		{"a blob of nobody's", "echo >" + root + "/images/blobs/sha256/" + strange},
		{"half a document", "echo { >" + root + "/containers/" + alive + "/state.json.new4194304-1; echo 7 >" + root + "/layers/last.new4194304-2"},
		{"a name", "ln -s ../containers/" + strange + " " + root + "/names/taken"},
		{"an address", "ln -s ../../../containers/" + strange + " " + root + "/networks/" + network + "/addresses/172.18.0.99"},
		{"a range of ids", "ln -s ../containers/" + strange + " " + root + "/idranges/77"},
		{"a network's name", "ln -s ../networks/" + strange + " " + root + "/networknames/old"},
		{"a user of a volume", "ln -s ../../../containers/" + strange + " " + root + "/volumes/data/users/" + strange},
		{"elements of the firewall", "nft add element inet glassbox everywhere4 '{ tcp . 4711 : 172.17.0.9 . 80 }'; nft add element inet glassbox masquerade4 '{ 10.99.0.0/16, 10.101.0.0/16 }'"},
		{"an interface", "ip link add veth1234567 type veth peer name other && ip link set veth1234567 master br-" + network[:12]},
		{"a mount", "mkdir -p " + run + "/containers/" + ended + "/m && mount -t tmpfs tmpfs " + run + "/containers/" + ended + "/m"},
		{"a container without a record", "rm -r " + root + "/containers/" + lost},
	} {
		if _, err := world.Output("sh", "-c", left.command); err != nil {
			t.Fatalf("%s: %v", left.what, err)
		}
	}
	expected := []string{
		"container " + alive[:12] + " (alive): its monitor was killed: another one is with it",
		"container " + alive[:12] + " (alive): the process that answers names and holds its ports was killed: another one is with it",
		"container " + ended[:12] + " (ended): it is said to run, and has no process: its end is recorded",
		"container " + strange[:12] + ": a command was killed while it made or removed it: removed",
		"network " + strange[:12] + ": a command was killed while it made or removed it: removed",
		filepath.Join(root, "volumes/.new-123456") + ": a command was killed",
		filepath.Join(root, "layers/temp/half") + ": no image needs it",
		filepath.Join(root, "layers/4711") + ": no image needs it",
		filepath.Join(root, "images/blobs/sha256", strange) + ": no image needs it",
		"layers/last.new4194304-2: a command was killed while it wrote it: removed",
		"state.json.new4194304-1: a command was killed while it wrote it: removed",
		"name taken: it is claimed for", "name lost: it is claimed for", "network name old: it is claimed for", "block of host ids 77: it is claimed for",
		"address on network side 172.18.0.99: it is claimed for",
		"volume data: container " + strange[:12] + " is noted as its user",
		"everywhere4 { tcp . 4711 : 172.17.0.9 . 80 }", "masquerade4 { 10.99.0.0 }",
		"interface veth1234567: no running container has it: removed",
		"mount " + run + "/containers/" + ended + "/m: ",
		"directory " + run + "/containers/" + lost + ": its container is gone: removed",
	}
	dry, code := traces.Glassbox("system", "check", "--dry-run")
	if code != 1 || strings.Contains(dry, "removed\n") || !strings.Contains(dry, "it remains") {
		t.Errorf("system check --dry-run: exit %d:\n%s", code, dry)
	}
	// A look at a container is enough to put another monitor beside it: these two have been found, and cured, above.
	said, code := traces.Glassbox("system", "check")
	for _, want := range expected {
		first, _, _ := strings.Cut(want, ": another one")
		if first, _, _ = strings.Cut(first, ": its end is recorded"); first == want && !strings.Contains(said, want) || !strings.Contains(dry+said, first) {
			t.Errorf("the check does not say %q", want)
		}
	}
	if code != 0 || t.Failed() {
		t.Errorf("system check: exit %d:\n%s\nbefore:\n%s", code, said, dry)
	}
	clean(t, "after all that")
	truthful(t)
	if err := traces.Want(0, "exec", "alive", "true"); err != nil {
		t.Error(err)
	}
	tidyUp(t)
	settled()
}

// kill ends the companion of a container, or with an empty kind a process.
func kill(t *testing.T, kind, of string) {
	t.Helper()
	if kind != "" {
		all := traces.Companions(kind, of)
		if len(all) != 1 {
			t.Fatalf("%d processes %s for %s", len(all), kind, of[:12])
		}
		of = strconv.Itoa(all[0].PID())
	}
	if _, err := world.Output("sh", "-c", "kill -9 "+of+"; while [ -d /proc/"+of+" ] && ! grep -q '^State:.*Z' /proc/"+of+"/status; do sleep 0.01; done"); err != nil {
		t.Fatal(err)
	}
}
