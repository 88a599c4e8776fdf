// Package steps holds what the RUNs of a build run in: mounts, caches, secrets, agents, networks, limits; and what is left of builds that were
// broken off or killed.
package steps

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/test/world"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: containers need root")
		return
	}
	os.Exit(world.Run(func(dir string) error { return errors.Join(world.BuildGlassbox(dir), buildClient(dir)) }, m.Run))
}

func buildClient(dir string) error {
	c := exec.Command("go", "build", "-o", dir+"/client", "glassbox/test/steps/client")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// place is a glassbox of a test's own, with its state directory on the disk, where a secret would be found.
type place struct {
	*testing.T
	dir string
}

func newPlace(t *testing.T) *place {
	p := &place{t, t.TempDir()}
	if err := os.Chmod(filepath.Dir(p.dir), 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.command("rm", "-f", "-v", strings.TrimSpace(p.say("ps", "-aq"))).Run() //nolint:errcheck // there may be none
		if out, err := p.command("system", "check").CombinedOutput(); err != nil {
			t.Errorf("system check: %v\n%s", err, out)
		}
	})
	return p
}

func (p *place) command(args ...string) *exec.Cmd {
	var words []string
	for _, a := range args {
		if a != "" {
			words = append(words, a)
		}
	}
	c := exec.Command(world.Dir()+"/glassbox/glassbox", words...)
	c.Env = append(os.Environ(), "GLASSBOX_ROOT="+p.dir+"/data", "GLASSBOX_RUN="+p.dir+"/run")
	return c
}

func (p *place) say(args ...string) string {
	p.Helper()
	c := p.command(args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		p.Fatalf("%v: %v\n%s%s", args, err, out, &errs)
	}
	return string(out)
}

// context makes a build context, of files by their names.
func (p *place) context(files ...string) string {
	p.Helper()
	dir, err := os.MkdirTemp(p.dir, "context")
	if err != nil {
		p.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(files[i+1]), 0o644)); err != nil {
			p.Fatal(err)
		}
	}
	return dir
}

// build builds, and returns what its RUNs have said.
func (p *place) build(dockerfile string, args ...string) string {
	p.Helper()
	said, err := p.try(dockerfile, args...)
	if err != nil {
		p.Fatalf("build: %v\n%s", err, said)
	}
	return ran(said)
}

func (p *place) try(dockerfile string, args ...string) (string, error) {
	where := "-"
	if n := len(args) - 1; n >= 0 && filepath.IsAbs(args[n]) {
		where, args = args[n], args[:n]
	}
	words := append([]string{"build", "--no-cache"}, args...)
	if where != "-" {
		words = append(words, "-f", "-")
	}
	c := p.command(append(words, where)...)
	c.Stdin = strings.NewReader(dockerfile)
	out, err := c.CombinedOutput()
	return string(out), err
}

// own are the lines that a build prints itself.
var own = regexp.MustCompile(`(?m)^(Sending build context|Step \d+|Successfully| ---> |glassbox: this host did not forward).*\n`)

func ran(said string) string { return own.ReplaceAllString(said, "") }

const key = "4f1c-not-to-be-found-9d2e"

func TestSecretsLeaveNoTrace(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(p.dir, "given")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HIDDEN", "env-"+key)
	c := p.command("build", "-t", "secretive", "--rm=false", "--secret", "id=file,src="+file, "--secret", "id=variable,env=HIDDEN", "-")
	c.Stdin = strings.NewReader(`FROM tiny
RUN --mount=type=secret,id=file test "$(cat /run/secrets/file)" = ` + strings.ReplaceAll(key, "-", `'-'`) + ` && stat -c '%a %u' /run/secrets/file
RUN --mount=type=secret,id=file,target=/etc/key,mode=0444,uid=7,env=KEY test "$KEY" = "$(cat /etc/key)" && stat -c '%a %u' /etc/key
RUN --mount=type=secret,id=variable,env=KEY test ${#KEY} -gt 20 && echo begun && sleep 2
RUN --mount=type=secret,id=absent ls /run/secrets 2>&1; echo $?
RUN --mount=type=secret,id=file false`)
	out := &marked{mark: "begun", seen: make(chan bool, 1)}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t)
	id := strings.Fields(p.say("ps", "-q"))[0]
	for _, args := range [][]string{{"inspect", id}, {"top", id}, {"container", "inspect", id}} {
		if strings.Contains(p.say(args...), key) {
			t.Errorf("%v shows the secret", args)
		}
	}
	p.nowhere(file)
	err := c.Wait()
	if said := ran(out.String()); err == nil || !strings.Contains(said, "400 0\n444 7\n") || !strings.Contains(said, "returned a non-zero code: 1") {
		t.Errorf("%v\n%s", err, said)
	}
	if n := len(strings.Fields(p.say("ps", "-aq"))); n != 5 {
		t.Errorf("%d containers have stayed", n)
	}
	p.nowhere(file)
	all := p.say("images", "-aq", "--no-trunc")
	for _, img := range strings.Fields(all) {
		if said := p.say("history", "--no-trunc", img) + p.say("inspect", img); strings.Contains(said, key) {
			t.Errorf("image %s tells the secret", img)
		}
	}
}

// nowhere looks through every file of the store for the secret.
func (p *place) nowhere(but string) {
	p.Helper()
	err := filepath.WalkDir(p.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == but {
			return nil // it went away meanwhile
		}
		if e.IsDir() && p.mounted(path) {
			return filepath.SkipDir // memory, for the moment of a start
		}
		if e.Type().IsRegular() {
			if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(key)) {
				p.Errorf("the secret is in %s", path)
			}
		}
		return nil
	})
	if err != nil {
		p.Error(err)
	}
}

func (p *place) mounted(dir string) bool {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && strings.Contains(string(data), " "+dir+" ")
}

// marked takes output, and tells when a word has come.
type marked struct {
	said bytes.Buffer // not embedded: exec.Cmd would read into it itself
	mark string
	seen chan bool
}

func (m *marked) String() string { return m.said.String() }

func (m *marked) Write(b []byte) (int, error) {
	n, err := m.said.Write(b)
	if bytes.Contains(m.said.Bytes(), []byte("\n"+m.mark)) {
		select {
		case m.seen <- true:
		default:
		}
	}
	return n, err
}

func (m *marked) await(t *testing.T) {
	t.Helper()
	select {
	case <-m.seen:
	case <-time.After(20 * time.Second):
		t.Fatalf("%q was never said:\n%s", m.mark, m.String())
	}
}

func TestSecretsThatAreMissing(t *testing.T) {
	p := newPlace(t)
	said, err := p.try("FROM tiny\nRUN --mount=type=secret,id=nosuch,required=true true")
	if err == nil || !strings.Contains(said, "secret nosuch: not found") {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestAgents(t *testing.T) {
	p := newPlace(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(world.Dir(), "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(keys, c) //nolint:errcheck // it ends with the connection
		}
	}()
	client, err := os.ReadFile(world.Dir() + "/client")
	if err != nil {
		t.Fatal(err)
	}
	dir := p.context("client", string(client))
	const dockerfile = "FROM tiny\nCOPY --chmod=755 client /client\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK && /client\n" +
		"RUN --mount=type=ssh,id=other,target=/tmp/a,mode=666 echo $SSH_AUTH_SOCK; ls /tmp\nUSER 1000\nRUN --mount=type=ssh,uid=1000 /client\nRUN ls /run\n"
	const want = "/run/buildkit/ssh_agent.0\n600\nsigned with ssh-ed25519 true\n/tmp/a\nsigned with ssh-ed25519 true\n"
	for _, from := range []string{file, l.Addr().String()} {
		if said := p.build(dockerfile, "--ssh", "default="+from, dir); said != want {
			t.Errorf("with %s it said\n%s", from, said)
		}
	}
	if all, err := keys.List(); len(all) != 1 || err != nil {
		t.Errorf("the agent holds %v, %v", all, err)
	}
	if said, err := p.try("FROM tiny\nRUN --mount=type=ssh,required=true true"); err == nil || !strings.Contains(said, `no SSH key "default" forwarded from the client`) {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestCachesStay(t *testing.T) {
	p := newPlace(t)
	const more = "FROM tiny\n" +
		"RUN --mount=type=cache,target=/root/.cache echo x >>/root/.cache/f; cat /root/.cache/f\n" +
		"RUN --mount=type=cache,target=/elsewhere,id=/root/.cache,readonly cat /elsewhere/f; (echo y >/elsewhere/f) 2>/dev/null || echo read-only\n" +
		"RUN --mount=type=cache,target=/own,uid=5,gid=6,mode=0700 stat -c '%a %u %g' /own\n" +
		"RUN --mount=type=cache,target=/own,from=tiny,source=/etc ls /own 2>/dev/null | grep -e passwd -e ^f; echo z >>/own/f\n" +
		"RUN ls -d /root/.cache /elsewhere /own 2>/dev/null; true\n"
	const first = "x\nx\nread-only\n700 5 6\npasswd\n"
	if said := p.build(more); said != first {
		t.Errorf("first\n%s", said)
	}
	if said := p.build(more); said != "x\nx\nx\nx\nread-only\n700 5 6\nf\npasswd\n" {
		t.Errorf("second\n%s", said)
	}
	if said := p.say("builder", "prune", "-f"); strings.Count(said, "\n") != 6 || !strings.Contains(said, "Deleted build cache objects:\n") {
		t.Errorf("prune\n%s", said)
	}
	if said := p.build(more); said != first {
		t.Errorf("after prune\n%s", said)
	}
}

// TestLockedCache has two builds at once that want one cache for themselves.
func TestLockedCache(t *testing.T) {
	p := newPlace(t)
	p.build("FROM tiny")
	const dockerfile = "FROM tiny\nRUN --mount=type=cache,target=/c,sharing=SHARING mkdir /c/lock 2>/dev/null && sleep 1 && rmdir /c/lock && echo alone || echo together\n"
	for sharing, want := range map[string]string{"locked": "alone\n", "private": "alone\n", "shared": "together\n"} {
		said := make(chan string)
		for range 2 {
			go func() {
				out, err := p.try(strings.Replace(dockerfile, "SHARING", sharing, 1))
				if err != nil {
					out += err.Error()
				}
				said <- ran(out)
			}()
		}
		if a, b := <-said, <-said; !strings.HasSuffix(a, want) && !strings.HasSuffix(b, want) || want == "alone\n" && a != b {
			t.Errorf("%s: %q and %q", sharing, a, b)
		}
	}
}

func TestBinds(t *testing.T) {
	p := newPlace(t)
	dir := p.context(".dockerignore", "hidden\n", "hidden", "no", "sub/a", "a", "sub/b", "b", "tool", "echo tool")
	if err := os.Chown(dir+"/sub/a", 1234, 1234); err != nil {
		t.Fatal(err)
	}
	said := p.build(`FROM tiny AS made
RUN mkdir -p /opt/x && echo 1 >/opt/x/one
FROM tiny
WORKDIR /work
RUN --mount=target=. ls; cat sub/a; echo; stat -c %u sub/a; (echo no >sub/a) 2>/dev/null || echo read-only
RUN --mount=source=sub,target=in,rw rm in/a; echo c >in/c; ls in
RUN --mount=source=sub,target=in ls in
RUN --mount=source=tool,target=/bin/tool sh /bin/tool
RUN --mount=from=made,source=/opt/x,target=/x --mount=from=made,target=/all cat /x/one /all/opt/x/one
RUN --mount=from=scratch,target=/void ls /void
RUN --mount=type=tmpfs,target=/t echo >/t/f && grep -c ' /t tmpfs' /proc/mounts
RUN ls -d /x /all /void /t /work/in 2>/dev/null; echo only
`, dir)
	want := "Dockerfile\nsub\ntool\na\n0\nread-only\nb\nc\na\nb\ntool\n1\n1\n1\nonly\n"
	if said = strings.Replace(said, "Dockerfile\n", "", 1); said != strings.Replace(want, "Dockerfile\n", "", 1) {
		t.Errorf("it said\n%s\nnot\n%s", said, want)
	}
	for file, wrong := range map[string]string{
		"FROM tiny\nRUN --mount=target=/ true":                                    `invalid mount target "/"`,
		"FROM tiny\nRUN --mount=source=nosuch,target=/x true":                     "nosuch",
		"FROM tiny\nRUN --mount=source=hidden,target=/x true":                     "hidden",
		"FROM tiny AS a\nFROM tiny\nRUN --mount=from=a,source=/no,target=/x true": `"/no": not found`,
	} {
		if said, err := p.try(file, dir); err == nil || !strings.Contains(said, wrong) {
			t.Errorf("%s: %v\n%s", file, err, said)
		}
	}
}

// TestPlacesOfMounts: links on the way to a place are followed inside the image, and nothing of the way is in the layer.
func TestPlacesOfMounts(t *testing.T) {
	p := newPlace(t)
	said := p.build(`FROM tiny
RUN mkdir -p /run && ln -s /run /link && ln -s /nowhere /dangling && ln -s / /etc/loop
RUN --mount=type=tmpfs,target=/link/x grep -o ' /run/x ' /proc/mounts
RUN --mount=type=tmpfs,target=/dangling/x grep -o ' /[a-z]*/x ' /proc/mounts | wc -l
RUN --mount=type=tmpfs,target=/etc/loop/etc/loop/y grep -o ' /y ' /proc/mounts
RUN --mount=type=tmpfs,target=/../../z/deep --mount=type=tmpfs,target=/z grep -o ' /z[a-z/]* ' /proc/mounts
RUN --mount=type=tmpfs,target=/z/deep ls /z && mkdir /z/own && stat -c %a /z
RUN ls -d /run/* /y /nowhere 2>/dev/null; readlink /dangling; ls /z
`)
	if want := " /run/x \n1\n /y \n /z \n /z/deep \ndeep\n755\n/nowhere\nown\n"; said != want {
		t.Errorf("it said\n%q, not\n%q", said, want)
	}
	for mount, wrong := range map[string]string{
		"type=tmpfs,target=/etc/passwd/x": "not a directory", "type=cache,target=/c,source=../no": `"/no": not found`, "type=bogus,target=/c": `unsupported mount type "bogus"`,
	} {
		if said, err := p.try("FROM tiny\nRUN --mount=" + mount + " true"); err == nil || !strings.Contains(said, wrong) {
			t.Errorf("%s: %v\n%s", mount, err, said)
		}
	}
}

func TestWhatARunRunsIn(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ run, want, args string }{
		{"cat /etc/hosts | grep friend", "192.0.2.9\tfriend\n", "--add-host friend:192.0.2.9"},
		{"grep -o '/dev/shm .*size=2048k' /proc/mounts | grep -c shm", "1\n", "--shm-size 2m"},
		{"ulimit -n", "77\n", "--ulimit nofile=77:99"},
		{"--network=none ls /sys/class/net", "lo\n", ""},
		{"ls /sys/class/net | grep -c eth0", "1\n", ""},
		{"echo $A $B; env | grep -c ^A=", "x y\n1\n", "--build-arg A=x --build-arg B=y"},
		{"grep CapEff /proc/self/status", "CapEff:\t00000000a80425fb\n", ""},
		{"--security=insecure mount -t tmpfs none /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs none /mnt && echo mounted", "mounted\n", "--allow security.insecure"},
	} {
		if said := p.build("FROM tiny\nARG A\nARG B\nRUN "+c.run, strings.Fields(c.args)...); said != c.want {
			t.Errorf("%s with %s: %q, want %q", c.run, c.args, said, c.want)
		}
	}
	for run, wrong := range map[string]string{
		"--security=insecure true": "security.insecure", "--network=host true": "network.host", `["/nosuch"]`: `exec: "/nosuch": stat /nosuch: no such file or directory`,
	} {
		if said, err := p.try("FROM tiny\nRUN " + run); err == nil || !strings.Contains(said, wrong) {
			t.Errorf("%s: %v\n%s", run, err, said)
		}
	}
}

func TestContainersThatStay(t *testing.T) {
	p := newPlace(t)
	p.build("FROM tiny\nRUN echo 1 >/one; rm /bin/cat\nRUN echo 2 >/two", "--rm=false", "-t", "kept")
	ids := strings.Fields(p.say("ps", "-aq"))
	if len(ids) != 2 {
		t.Fatalf("%v have stayed", ids)
	}
	if said := p.say("diff", ids[1]); !strings.Contains(said, "A /one\n") || !strings.Contains(said, "D /bin/cat\n") {
		t.Errorf("diff says\n%s", said)
	}
	if said := p.say("run", "--rm", "kept", "ls", "/one", "/two"); said != "/one\n/two\n" {
		t.Errorf("the image holds\n%s", said)
	}
	p.say("start", "-a", ids[0]) // again
	p.say("rm", ids[0], ids[1])
	if _, err := p.try("FROM tiny\nRUN exit 9"); err == nil || err.(*exec.ExitError).ExitCode() != 9 {
		t.Errorf("exit 9: %v", err)
	}
	if said := p.say("ps", "-a", "--format", "{{.Status}}"); !strings.HasPrefix(said, "Exited (9)") {
		t.Errorf("the container that failed: %q", said)
	}
	p.say("container", "prune", "-f")
	if _, err := p.try("FROM tiny\nRUN exit 9", "--force-rm"); err == nil || p.say("ps", "-aq") != "" {
		t.Errorf("--force-rm: %v", err)
	}
	if _, err := p.try("FROM tiny\nRUN exit 9", "--progress=plain"); err == nil || p.say("ps", "-aq") != "" {
		t.Errorf("--progress=plain: %v", err)
	}
}

// TestBuildsBrokenOff: whatever ends a build ends its containers.
func TestBuildsBrokenOff(t *testing.T) {
	p := newPlace(t)
	p.build("FROM tiny")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		c := p.command("build", "--no-cache", "-")
		c.Stdin = strings.NewReader("FROM tiny\nRUN --mount=type=cache,target=/c echo 1 >/c/f\nRUN --mount=type=cache,target=/c echo begun; trap '' TERM INT; sleep 60\n")
		out := &marked{mark: "begun", seen: make(chan bool, 1)}
		c.Stdout, c.Stderr = out, out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		out.await(t)
		id := strings.Fields(p.say("ps", "-q", "--no-trunc"))[0]
		pid := strings.TrimSpace(p.say("inspect", "-f", "{{.State.Pid}}", id))
		begun := time.Now()
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Errorf("%v: it ended well", sig)
		} else if code := err.(*exec.ExitError).ExitCode(); sig != syscall.SIGKILL && code != 128+int(sig) {
			t.Errorf("%v: %d", sig, code)
		}
		for {
			_, err := os.Stat("/proc/" + pid)
			if err != nil && p.say("ps", "-aq") == "" {
				break
			}
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("%v: the container is left: %s", sig, p.say("ps", "-a"))
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("%v: all is gone after %v", sig, time.Since(begun).Round(time.Millisecond))
		if said := p.build("FROM tiny\nRUN --mount=type=cache,target=/c cat /c/f"); said != "1\n" {
			t.Errorf("%v: the cache holds %q", sig, said)
		}
		if left, err := os.ReadDir(p.dir + "/data/build/work"); len(left) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: works are left: %v, %v", sig, left, err)
		}
	}
}
