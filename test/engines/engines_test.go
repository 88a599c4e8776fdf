// Package engines lets real engines drive glassrun: containerd's ctr, Docker 28.5.2 and podman, configured by the lines that README.md
// shows. Each plays sessions in testscript's language, all in one world; those of testdata/limits also in the VM, where cgroup v2 has
// controllers.
//
//	go test ./test/engines                            with glassrun
//	go test ./test/engines -runtime /usr/sbin/runc    holds the sessions themselves against another runtime
//	go test ./test/engines -capture DIR               keeps what engines ask the runtime for: each call, each config.json and process
package engines

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"glassbox/test/need"
	"glassbox/test/script"
	"glassbox/test/world"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	runtimePath = flag.String("runtime", "", "the `program` that engines call; by default the glassrun of this checkout")
	capture     = flag.String("capture", "", "a `directory` for what engines ask of the runtime")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: engines need root")
		return
	}
	if err := present(); err != nil && !need.VM() {
		fmt.Println("SKIP: no engines:", err)
		return
	}
	enter := world.Run
	if need.VM() && underSystemd() {
		enter = world.Bare
	}
	os.Exit(enter(world.BuildGlassbox, func() int {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

func underSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// TestSessions plays what needs no controllers.
func TestSessions(t *testing.T) { play(t, "testdata/sessions") }

// TestLimits plays one session of each engine, which has limits in it.
func TestLimits(t *testing.T) {
	need.CgroupV2(t, "cpu", "memory", "pids")
	play(t, "testdata/limits")
}

// TestScopes plays them where systemd makes the groups.
func TestScopes(t *testing.T) {
	need.Systemd(t)
	play(t, "testdata/scopes")
}

func play(t *testing.T, dir string) {
	limit := 2 * time.Minute
	if need.VM() {
		limit = 8 * time.Minute
	}
	testscript.Run(t, testscript.Params{
		Dir:      dir,
		Deadline: time.Now().Add(limit), ContinueOnError: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"engine": startEngine,
			"code":   script.Code,
			"until":  until,
		},
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"PATH", "CONTAINERS_CONF"} {
				e.Setenv(name, os.Getenv(name))
			}
			e.Setenv("GLASSRUN", driven())
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TERM", "xterm")
			return nil
		},
	})
}

// startEngine is the command `engine NAME` of sessions: what they need of the engine runs from then on.
func startEngine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || engines[args[0]] == nil {
		ts.Fatalf("usage: engine docker|ctr|podman")
	}
	if err := engines[args[0]](); err != nil {
		ts.Fatalf("%v", err)
	}
}

// until is `until SCRIPT`: a shell's script is repeated until it succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: until SCRIPT")
	}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		c := exec.Command("sh", "-c", args[0])
		c.Dir = ts.Getenv("WORK")
		var out []byte
		if out, err = c.CombinedOutput(); err == nil {
			return
		}
		err = fmt.Errorf("%w: %s", err, out)
	}
	ts.Fatalf("never: %s: %v", args[0], err)
}
