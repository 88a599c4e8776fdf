package tiny

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own binary be the applets: they are links to it.
func TestMain(m *testing.M) {
	if Is(os.Args[0]) {
		code, _ := Run(os.Args[0], os.Args[1:])
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// userland is a directory of links: to us, or to busybox.
func userland(t *testing.T, program string, names []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func ours(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return userland(t, self, Names())
}

func busybox(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is missing: install busybox-static")
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	return userland(t, path, strings.Fields(string(list)))
}

// result is what a command line gave.
type result struct {
	stdout, stderr string
	code           int
}

func runLine(t *testing.T, bin, dir, line string) result {
	t.Helper()
	cmd := exec.Command(bin+"/sh", "-c", line)
	cmd.Args[0] = "sh"
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin, "HOME=/root", "LANG=C", "TZ=UTC"}
	return finish(t, cmd)
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !late.Stop() {
		t.Errorf("%q hangs", cmd.Args)
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// stageFiles makes the files that the command lines read.
func stageFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"fruit":    "pear\napple\nfig\napple\nplum\n",
		"numbers":  "10\n9\n2\n33\n1\n",
		"table":    "root:x:0:0\nalice:x:1000:100\nbob:x:1001:100\n",
		"text":     "The quick brown fox\njumps over\n\nthe lazy dog. Fox!\n",
		"noeol":    "one\ntwo",
		"empty":    "",
		"d/a":      "a\n",
		"d/b/c":    "deep\n",
		"d/.hide":  "hidden\n",
		"blanks":   "  a  b\tc\n x\n",
		"words":    "one two three\nfour five\n",
		"crlf":     "a\r\nb\r\n",
		"script":   "echo script $0 $1 $#\nexit 7\n",
		"sizes":    "1K\n2M\n512\n3K\n",
		"repeated": "a\na\nB\nb\nc\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNamesAreSortedAndRun(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names are not sorted or not unique: %v", names)
	}
	wanted := "sh ls ps cat echo env id hostname uname mount umount df free ip ping nslookup nc wget mkdir rmdir rm cp mv touch chmod chown ln readlink " +
		"grep head tail wc find dd sleep kill top stty true false test [ pwd date sort uniq cut tr sed xargs tee printf seq whoami which nproc clear reset " +
		"tar gzip gunzip md5sum sha256sum du stat basename dirname yes time watch nsenter unshare chroot httpd less more"
	for name := range strings.FieldsSeq(wanted) {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"/bin/sh", "-sh", "ls", "tiny"} {
		if !Is(name) {
			t.Errorf("%s is not taken for an applet", name)
		}
	}
	if Is("glassbox") || Is("") {
		t.Error("what is no applet is taken for one")
	}
}

func TestLikeBusybox(t *testing.T) {
	theirs, mine := busybox(t), ours(t)
	for _, line := range []string{
		"cat fruit", "cat -n fruit noeol", "cat -b text", "cat -e crlf", "cat -v crlf", "cat -A blanks", "cat nofile fruit", "cat <fruit -",
		"head -n 2 fruit", "head -2 fruit", "head -c 7 text", "head -n -2 fruit", "head -n 1 fruit noeol", "head -q -n1 fruit text", "head -v -n 1 fruit",
		"tail -n 2 fruit", "tail -2 fruit", "tail -n +4 fruit", "tail -c 5 text", "tail -c +3 noeol", "tail fruit noeol", "cat fruit | tail -n 1",
		"wc fruit", "wc -l fruit text", "wc -c <text", "wc -w words", "wc -L text", "cat words | wc",
		"sort fruit", "sort -r fruit", "sort -u fruit", "sort -n numbers", "sort numbers", "sort -rn numbers", "sort -t: -k3n table", "sort -t: -k3,3nr table",
		"sort -k2 words", "sort -f repeated", "sort -o sorted fruit; cat sorted", "sort -c fruit", "sort -s -k1,1 words",
		"sort fruit | uniq", "sort fruit | uniq -c", "sort fruit | uniq -d", "sort fruit | uniq -u", "uniq -i repeated", "uniq -ci repeated",
		"cut -d: -f1 table", "cut -d: -f1,3 table", "cut -d: -f2- table", "cut -c1-3 fruit", "cut -b2 fruit", "cut -f1 table", "cut -s -f1 table", "cut -c3- text",
		"tr a-z A-Z <fruit", "tr -d aeiou <fruit", "tr -s p <fruit", "tr '[:lower:]' '[:upper:]' <text", "tr -cd '[:alpha:]\\n' <text", "tr '\\n' , <fruit", "tr -s ' ' <blanks",
		"sed s/a/X/ fruit", "sed s/p/X/g fruit", "sed -n 2p fruit", "sed 2d fruit", "sed '2,3d' fruit", "sed -n '/fig/,/plum/p' fruit", "sed -e s/a/1/ -e s/p/2/ fruit",
		"sed '$d' fruit", "sed -n '$=' fruit", "sed 's/\\(.\\)\\(.\\)/\\2\\1/' fruit", "sed -E 's/(.)(.)/\\2\\1/' fruit", "sed 's/p/[&]/2' fruit", "sed '/apple/!d' fruit",
		"sed '2q' fruit", "sed 's,/,|,g' table", "sed -n 's/apple/X/p' fruit", "sed 'a after' noeol", "sed '1i before' fruit", "sed '2c changed' fruit", "sed y/abc/xyz/ nofile",
		"sed '/fig/{s/f/F/;s/g/G/}' fruit", "sed ':a;N;$!ba;s/\\n/,/g' fruit", "sed 'N;P;D' fruit", "sed G words", "sed -n 'h;n;G;p' fruit", "sed 's/x*/-/g' noeol", "sed -i s/pear/PEAR/ fruit; cat fruit",
		"sed 's/$/!/' fruit", "sed 's/^/> /' fruit", "sed = noeol", "sed 's/A/b/I' fruit",
		"grep apple fruit", "grep -c apple fruit", "grep -n apple fruit", "grep -v apple fruit", "grep -i FOX text", "grep -q apple fruit", "grep -q nope fruit",
		"grep apple fruit text", "grep -h a fruit noeol", "grep -l apple fruit text", "grep -L apple fruit text", "grep -r deep d", "grep -o 'o.' text", "grep -E 'fox|dog' text",
		"grep 'fox\\|dog' text", "grep -F '.' text", "grep -w the text", "grep -x fig fruit", "grep '^$' text", "grep -e pear -e plum fruit", "grep '[[:upper:]]' text", "grep a nofile",
		"grep -A1 pear fruit", "grep -B1 fig fruit", "grep -C1 fig fruit", "grep -m1 apple fruit", "grep 'a*p' fruit", "grep -E 'p{2}' fruit", "grep 'p\\{2\\}' fruit", "grep -vc a fruit", "grep -H pear fruit", "egrep 'p+' fruit", "fgrep p fruit", "grep d",
		"echo a b", "echo -n a", "echo -e 'a\\tb\\n'", "echo -e 'x\\c' y", "echo -ne '\\0101\\x41\\n'", "echo -- x", "echo -e '\\e[1m'", "echo '\\n'",
		"printf '%s %d\\n' a 1 b 2", "printf '%5.2f|%-5s|%05d\\n' 3.14159 ab 42", "printf '%x %X %o %c\\n' 255 255 8 hello", "printf 'no newline'", "printf '%s\\n'", "printf '%b\\n' 'a\\tb'", "printf '%d\\n' 0x1f 010 \"'A\"", "printf '%%|%5s|%-5s|\\n' a b", "printf '%d\\n' abc", "printf '\\101\\n'", "printf '%*d\\n' 5 42", "printf '%e %g\\n' 1234.5 0.0001", "printf %i 7",
		"seq 3", "seq 2 5", "seq 1 2 7", "seq 3 -1 1", "seq -w 8 11", "seq -s, 4", "seq 0.5 0.5 2", "seq 5 1",
		"basename /usr/lib/x.so .so", "basename /usr/", "basename /", "dirname /usr/lib/x", "dirname x", "dirname /x", "dirname a/b/", "dirname /",
		"ls", "ls -1 d", "ls -a d", "ls -A d", "ls -R d", "ls -d d", "ls -p", "ls -F", "ls nofile", "ls fruit d", "ls -r", "ls -l d | tail -n +2 | cut -c1-10", "ls -l fruit | wc -w", "ls -h sizes",
		"mkdir x && ls -d x", "mkdir d", "mkdir -p p/q/r && ls -R p", "mkdir p/q", "rmdir d", "mkdir e; rmdir e; ls -d e", "rm nofile", "rm -f nofile", "rm d", "rm -r d; ls -d d", "rm -rf d nofile; ls", "rm -r .",
		"cp fruit copy; cat copy", "cp fruit d; ls d", "cp d x", "cp -r d x; find x | sort", "cp nofile x", "cp fruit noeol x", "cp -a d y; ls -a y", "cp fruit fruit", "mv fruit f2; ls", "mv fruit d; ls d", "mv nofile x", "mv -n fruit text; ls",
		"ln -s fruit link; readlink link; cat link", "ln fruit hard; stat -c %h fruit", "ln -s fruit link; ln -s x link", "ln -sf text link; readlink link", "readlink fruit", "ln -s d dd; ls dd", "readlink -f d/../fruit | sed 's,.*/,,'",
		"touch new; stat -c '%s %F' new", "touch -c none; ls none", "touch -d '2020-01-02 03:04:05' t; stat -c %Y t", "touch -r fruit r; test r -nt fruit; echo $?",
		"chmod 600 fruit; stat -c %a fruit", "chmod u+x,go-r fruit; stat -c %A fruit", "chmod a=r fruit; stat -c %a fruit", "chmod -R 700 d; stat -c %a d/b/c", "chmod +x fruit; stat -c %a fruit", "chmod zz fruit", "chmod 4755 fruit; stat -c %A fruit", "chmod g=u fruit; stat -c %a fruit", "umask 077; chmod +r fruit; stat -c %a fruit", "chmod 644 nofile", "chmod -x fruit; stat -c %a fruit", "chmod +t d; stat -c %A d", "chmod o+w,+X d; stat -c %a d",
		"stat -c '%n %s %a %u' fruit", "stat -c %F d fruit", "stat nofile", "stat -c '%b %B' empty",
		"find d | sort", "find d -type f | sort", "find d -name 'c'", "find . -name '*.x'", "find d -maxdepth 1 | sort", "find d -mindepth 2", "find d -type f -exec echo {} \\; | sort", "find d -type f -exec echo {} + | wc -w", "find . -size 0", "find d ! -name '.*' -type f | sort", "find d -name a -o -name c | sort", "find . -size +2c -name e*", "find nofile", "find d -path '*b*' | sort", "find . -empty", "find d -type d -print", "find . -perm 644 -name fruit", "find d -name b -prune -o -print | sort", "find . -nosuch", "find d \\( -name a -o -name c \\) -print | sort", "find . -newer fruit -name zz", "find d -iname A",
		"xargs <words", "xargs -n 1 <words", "xargs -I{} echo '<{}>' <words", "echo | xargs echo x", "echo | xargs -r echo x", "echo \"'a b' c\" | xargs -n1", "printf 'a\\0b' | xargs -0 -n1 echo", "echo x | xargs false", "echo x | xargs nosuchcmd", "seq 3 | xargs -n2 echo",
		"tee copy <fruit; cat copy", "echo x | tee -a fruit; tail -n1 fruit", "yes | head -n 2", "yes a b | head -n 1",
		"echo abc | md5sum", "sha256sum fruit", "md5sum fruit >s; md5sum -c s", "echo bad >x; sha256sum x fruit >s; echo worse >x; sha256sum -c s", "sha1sum empty",
		"dd if=fruit bs=5 count=2 2>/dev/null", "dd if=fruit of=o bs=1 skip=3 2>/dev/null; cat o", "dd if=fruit of=noeol bs=1 conv=notrunc 2>/dev/null; cat noeol", "dd if=nofile", "dd if=fruit bs=4 2>&1 >/dev/null | head -n 2", "dd if=/dev/zero bs=1k count=3 2>/dev/null | wc -c", "dd if=fruit of=o seek=1 bs=10 2>/dev/null; wc -c <o", "dd foo=bar",
		"tar cf x.tar d && tar tf x.tar | sort", "tar czf x.tgz d; rm -r d; tar xzf x.tgz; find d | sort", "tar cf - fruit | tar xOf -", "tar cf x.tar d; tar xf x.tar -C nodir", "tar tf nofile", "tar -cf x.tar fruit text; tar -tf x.tar text", "tar cf x.tar d; mkdir o; tar xf x.tar -C o; find o | sort", "tar cf x.tar fruit; tar tvf x.tar | cut -c1-10",
		"gzip fruit; ls fruit*; gunzip fruit.gz; cat fruit", "gzip -c fruit | gunzip -c", "gzip -k fruit; zcat fruit.gz", "gunzip fruit", "gzip <fruit | gzip -d",
		"du -s empty | cut -f2", "date -u -d @0", "date -u -d @86399 +%Y-%m-%dT%H:%M:%S", "date -u -d '2024-02-29 12:00' '+%a %b %e %j %s'", "date -u -d bogus", "date -u -d @0 -Iseconds",
		"env -i A=1", "env -i A=1 B=2 sh -c 'echo $A$B'", "A=5 env | grep ^A=", "env -u HOME sh -c 'echo [$HOME]'", "env nosuchcmd",
		"id -u", "id -un", "whoami", "uname", "uname -s", "uname -m", "uname -a | wc -w", "hostname", "nproc", "which ls | sed 's,.*/,,'", "which nosuch", "pwd | sed 's,.*/,,' | wc -l",
		"true", "false", "test a = a", "test a = b", "[ 1 -lt 2 ]", "[ -f fruit ]", "[ -d fruit ]", "[ ! -e nofile ]", "[ -s empty ]", "[ a = a -a b = b ]", "[ a = b -o b = b ]", "[ \\( a = a \\) ]", "[ -z '' ]", "[ -n '' ]", "test", "test x", "[ 1 -eq x ]", "[ a", "[ -r fruit ] && [ -w fruit ]", "[ ! a = b ]", "[ '(' = '(' ]", "[ -n = ]",
		"expr_=1; kill -l 15", "kill -l TERM", "kill -l 143", "kill nopid", "kill -NOSUCH 1", "kill 999999", "kill -0 $$",
		"timeout 0.1 sleep 5; echo $?", "timeout 5 true", "timeout 5 sh -c 'exit 3'", "sleep x", "sleep 0", "mktemp -u /tmp/xXXXXXX | wc -c", "mktemp -d ./tXXXXXX | wc -c", "truncate -s 10 fruit; wc -c <fruit", "mkfifo ff; stat -c %F ff", "realpath d/b | sed 's,.*/d,d,'", "rev fruit", "tac fruit", "base64 fruit", "base64 fruit | base64 -d", "setsid true",
		"cat --nosuch 2>/dev/null", "ls --nosuch 2>/dev/null", "head -n x fruit", "sort -k0 fruit 2>/dev/null", "cut fruit 2>/dev/null", "less fruit", "more fruit", "awk_=; tail -n 3 nofile", "wc nofile", "grep -c nope fruit", "mkdir", "rmdir nofile", "mv fruit", "chown nosuchuser fruit", "chown 12:34 fruit; stat -c %u:%g fruit", "chown root:root fruit; stat -c %U:%G fruit", "chgrp 5 fruit; stat -c %g fruit",
	} {
		t.Run(line, func(t *testing.T) {
			a, b := stageFiles(t), stageFiles(t)
			want, have := runLine(t, theirs, a, line), runLine(t, mine, b, line)
			if have.stdout != want.stdout || have.code != want.code {
				t.Errorf("busybox gives %d\n%s%sand we %d\n%s%s", want.code, want.stdout, want.stderr, have.code, have.stdout, have.stderr)
			}
		})
	}
}
