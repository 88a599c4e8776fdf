package tiny

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScriptsLikeBusybox runs shell scripts by both shells: same output, same status.
func TestScriptsLikeBusybox(t *testing.T) {
	theirs, mine := busybox(t), ours(t)
	for _, script := range []string{
		"x=5; echo $x ${x} \"$x\" '$x' ${y:-none} ${y-none} ${x:+set} ${#x} $((x * 2 + 1))",
		"f=a/b/c.tar.gz; echo ${f##*/} ${f#*/} ${f%.*} ${f%%.*} ${f%/*}", "x=hello; echo ${x:1:3} ${x/l/L} ${x//l/L}",
		"set -- a 'b c' d; echo $# \"$@\" \"$*\" $2; for i; do echo [$i]; done; shift 2; echo $1 $#; IFS=-; echo \"$*\"",
		"for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done; for i in a b; do for j in x y; do break 2; done; done; echo $i$j",
		"i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done; until [ $i = 0 ]; do i=$((i-1)); done; echo $i",
		"if false; then echo a; elif true; then echo b; else echo c; fi; if false; then :; fi; echo $?",
		"case abc in a*c) echo 1;; *) echo 2;; esac; case x in y) ;; [w-z]) echo range;; esac; case '' in '') echo empty;; esac; case 'a b' in 'a b'|c) echo alt;; esac",
		"f() { echo in $1 $#; return 4; }; f x y; echo $?; g() { local v=1; v=2; }; v=0; g; echo $v; f2() (exit 5); f2; echo $?",
		"r() { [ $1 -le 0 ] && return; echo $1; r $(($1 - 1)); }; r 3",
		"(echo sub; exit 3); echo $?; x=1; (x=2; echo $x); echo $x; (cd /; pwd); { echo a; echo b; } | wc -l",
		"echo $(echo a; echo b) \"$(echo a; echo b)\" `echo back`; x=$(exit 7); echo $?; echo $(echo $(echo nested))",
		"echo a | cat | tr a b; echo x | while read v; do echo got $v; done; echo $v; printf 'a b c\\nd e\\n' | while read x y; do echo \"$y,$x\"; done",
		"cat <<E\nx $((1+1)) $(echo c)\nE\ncat <<'E'\n$x\nE\ncat <<-E\n\ttabs\n\tE\ncat <<A; cat <<B\na\nA\nb\nB",
		"echo one >f; echo two >>f; cat <f; cat f 2>/dev/null; ls /nonexistent 2>&1 >/dev/null | wc -l; echo err >&2; { echo o; echo e >&2; } 2>&1 | sort",
		"exec 3>f; echo three >&3; exec 3>&-; cat f; exec 4<f; read l <&4; echo $l; exec 4<&-; echo x 5>f 1>&5; cat f", "exec >f; echo hidden; exec >&2; cat f",
		"true && echo y || echo n; false && echo y || echo n; ! true; echo $?; ! false; echo $?; false || false; echo $?",
		"set -e; false || true; if false; then :; fi; ! true; echo here; false; echo not", "set -e; f() { false; echo in; }; f || echo caught; f; echo not", "set -e; (false; echo no); echo no2", "set -e; x=$(false); echo no",
		"set -u; echo ${a-ok}; echo $a; echo no", "set -f; echo *; set +f; echo n*", "set -x; echo a 'b c'; x=1; set +x; echo done", "set -o pipefail; false | true; echo $?", "set -- -a; echo $1; set -- ; echo $#",
		"trap 'echo bye' EXIT; echo work; exit 3", "trap 'echo bye; exit 9' EXIT; exit 3", "trap 'echo x' EXIT; trap - EXIT; echo y", "(trap 'echo sub' EXIT; echo in); echo out", "trap 'echo t' TERM; kill -TERM $$; echo after; trap", "trap '' TERM; kill -TERM $$; echo alive", "trap 'echo usr; exit 6' USR1; kill -USR1 $$; echo not", "trap 'echo got' USR1; (sleep 0.2; kill -USR1 $$) & wait $!; echo $?; wait",
		"sleep 0.1 & p=$!; wait $p; echo $?; (exit 3) & wait $!; echo $?; false & true; wait $!; echo $?; wait; echo $?", "sleep 5 & kill $!; wait $!; echo $?", "{ sleep 0.2; echo late; } & echo early; wait", "wait 99999; echo $?", "sleep 9 & kill -9 $!; wait $! 2>/dev/null; echo $?",
		"readonly r=1; echo $r; r=2; echo not", "export E=1; sh -c 'echo $E'; F=2 sh -c 'echo $F'; echo [$F]; unset E; sh -c 'echo [$E]'", "export -p | grep -c HOME=./root", "a=1 b=$a; echo $b; a=1; b=2 c=$a; echo $b$c",
		"read a b <fruit; echo $a; printf 'x\\\\y\\n' | { read v; echo $v; }; printf 'x\\\\y\\n' | { read -r v; echo $v; }; read v </dev/null; echo $?; echo 'a:b:c' | { IFS=: read x y; echo $y; }; printf 'no newline' | { read v; echo $? $v; }", "echo 'a b' | { read -n 1 v; echo $v; }", "read -t 0.1 v </dev/null; echo $?", "echo '  lead  trail  ' | { read v; echo \"[$v]\"; }",
		"eval 'x=1; echo $x'; eval; echo $?; . ./script; echo not", ". ./nofile; echo not", "command -v ls | sed 's,.*/,,'; command -v cd; command -v nosuch; echo $?; type cd; command echo hi; type nosuch 2>/dev/null; echo $?",
		"umask; umask 027; umask; touch n; stat -c %a n; umask -S; (umask 0); umask", "ulimit -n 77; ulimit -n; ulimit -Hn; ulimit -c 0; ulimit -c; sh -c 'ulimit -n'", "cd d; pwd | sed 's,.*/,,'; cd ..; cd -  | sed 's,.*/,,'; cd nodir; echo $?; cd /; echo $PWD $OLDPWD | wc -w; cd /usr/../tmp; pwd",
		"nosuchcmd; echo $?; ./fruit; echo $?; ./nofile; echo $?; /; echo $?; sh fruit/x; echo $?", "exit", "exit 300", "exit -1", "sh -c 'exit 5'; echo $?; sh -c 'kill -9 $$'; echo $?; sh ./script a b; echo $?; sh nofile; echo $?", "exec sh -c 'echo replaced; exit 4'; echo not", "exec nosuchcmd; echo not", "exec 2>/dev/null; nosuchcmd; echo $?",
		"alias ll='echo aliased'\nll x", "getopts_() { while getopts ab:c o \"$@\"; do echo $o $OPTARG; done; echo $OPTIND; }; getopts_ -a -b val -c rest", "while getopts :x: o -y -x; do echo $o $OPTARG; done",
		"echo $((2**3)) $((7/2)) $((7%3)) $((1<<4)) $((5>3)) $((!0)) $((~0)) $((1?2:3)) $(( (1+2)*3 )); x=3; echo $((x+=2)) $((x++)) $x $((++x)); echo $((0x10)) $((010))", "echo $((1/0)); echo not", "x=; echo $((x+1)); echo $(( 1 == 1 && 2 != 2 ))",
		"echo d/* n*s nomatch* 'n*' \\*; echo [ft]*; echo ?ords; echo .h*; cd d; echo .*e", "echo ~ ~root; HOME=/x; echo ~/y \"~\"", "echo \"a\\\"b\" 'a'\"'\"'b' a\\ b \"\\$x\" \"\\n\" $'x'",
		"IFS=,; x='a,b,c d'; for i in $x; do echo \"[$i]\"; done; set -- $x; echo $#", "x='a   b'; echo $x \"$x\"; set -- $x; echo $#; e=; set -- $e a; echo $#; set -- \"$e\" a; echo $#",
		"x=1; while true; do x=$((x*2)); if [ $x -gt 100 ]; then break; fi; done; echo $x", "cat fruit | { while read l; do n=$((n+1)); done; echo $n; }; echo [$n]", "echo ${nope?}; echo not", "echo ${nope:?custom}; echo not", "x=${y:=dflt}; echo $x $y", "f() { echo \"$@\" | wc -w; }; f a b c", "echo a; # comment\n# more\necho b", "a() { b; }; b() { echo fromb; }; a", "if [ -n \"$(ls)\" ]; then echo files; fi", "kill -0 $$ && echo alive; echo $$ | grep -c '^[0-9]*$'", "sh -c 'echo $0 $1' name arg; sh -s x y <<E\necho $# \\$1\nE", "false\n\n\necho $?", "! false | true; echo $?", "false; s=$?; echo $s; f() { local t=$?; echo $t; }; (exit 3); f; (exit 4); export u=$?; echo $u; x=$(exit 5); echo $?; export y=1; echo $?; s=$? true; echo $?; false; s=1; echo $?", "x=a; case $x in a) y=1 ;; esac; echo $y; unset x; echo ${x-unset}", "test -t 1; echo $?", "if true; then echo", "echo )", "for", "times | wc -l", "type sh | wc -l; hash; :; echo $?", "printf '%s\\n' \"$(printf 'a\\n\\n')\" end", "echo hi > d; echo $?", "echo ok >nodir/x; echo $?", "cat <nofile; echo $?", "(exec 9>f; echo nine >&9); cat f", "f() { trap 'echo ft' EXIT; }; f; echo end", "yes | head -n 1; echo $?", "echo one two | xargs -n1 sh -c 'echo arg $0'", "sleep 0.3 & sleep 0.1; jobs | wc -l; wait; jobs | wc -l", "return 3; echo not", "break; echo ok", "let_=1; echo $(( let_ ))", "time_=1; echo -n; echo -e a\\\\nb", "set -C; echo a >f; echo b >f; echo $?; echo c >|f; cat f", "a=5; unset a; echo ${a:-gone}; f() { :; }; unset -f f; f; echo $?", "printf 'a\\n' >f; while read x; do echo $x; done <f; { read y; } <f; echo $y", "echo a >&9; echo $?", "x=$(cat <<E\nin subst\nE\n); echo $x", "sh -e -c 'false; echo no'; echo $?; sh -c 'set -eu; echo ${Q:-q}'; sh -x -c 'echo t' 2>&1", "f() { return; }; false; f; echo $?; g() { false; return; }; g; echo $?",
	} {
		t.Run(script, func(t *testing.T) {
			want, have := runLine(t, theirs, stageFiles(t), script), runLine(t, mine, stageFiles(t), script)
			if have.stdout != want.stdout || have.code != want.code {
				t.Errorf("busybox gives %d\n%s%sand we %d\n%s%s", want.code, want.stdout, want.stderr, have.code, have.stdout, have.stderr)
			}
		})
	}
}

// TestSubshellsAreProcesses: lessons look at ps and kill what $! names.
func TestSubshellsAreProcesses(t *testing.T) {
	bin := ours(t)
	for script, want := range map[string]string{
		"(sleep 9; echo no) & p=$!; kill -0 $p && echo there; kill $p; wait $p; echo $?":                             "there\n143\n",
		"sleep 9 | cat & kill $!; wait $! ; echo $?; pkill -P $$ sleep 2>/dev/null; :":                               "143\n",
		"[ $$ = $(echo $$) ] && echo same; ( [ $$ != $BASHPID ] && echo other )":                                     "same\nother\n",
		"sh -c 'readlink /proc/$$/exe | wc -l; :'; f() { echo fn $v; }; v=1; (f); f | cat; { f; } & wait":            "1\nfn 1\nfn 1\nfn 1\n",
		"x=$(ulimit -n 55; ulimit -n); echo $x; [ $(ulimit -n) != 55 ] && echo kept; (exec echo execed); echo after": "55\nkept\nexeced\nafter\n",
		"tr '\\0' ' ' </proc/$$/cmdline | cut -c1-5; cat /proc/$$/comm; :":                                           "sh -c\nsh\n",
		"(cat /proc/self/comm; :); (tr -d '\\n' </proc/$BASHPID/comm; echo)":                                         "cat\nsh\n",
	} {
		have := runLine(t, bin, t.TempDir(), script)
		if have.stdout != want {
			t.Errorf("%s\ngives %q and %q, not %q", script, have.stdout, have.stderr, want)
		}
	}
}

func TestLastCommandReplacesTheShell(t *testing.T) {
	bin := ours(t)
	cmd := exec.Command(bin+"/sh", "-c", "sleep 30")
	cmd.Env = []string{"PATH=" + bin}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	eventually(t, "the shell has become sleep", func() bool {
		text, _ := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(itoa(cmd.Process.Pid)), "cmdline"))
		return string(text) == "sleep\x0030\x00"
	})
}
