package tiny

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an applet does not do it says, as busybox does: no option is taken and ignored.
func TestOptionsWithoutEffectAreRefused(t *testing.T) {
	bin, dir := ours(t), stageFiles(t)
	for line, want := range map[string]string{
		"free -t":                           "free: invalid option -- 't'",
		"ls -k":                             "ls: invalid option -- 'k'",
		"ps -H":                             "ps: invalid option -- 'H'",
		"top -b -n 1 -H":                    "top: invalid option -- 'H'",
		"sed -z p fruit":                    "sed: invalid option -- 'z'",
		"sort -S 1M fruit":                  "sort: invalid option -- 'S'",
		"umount -n fruit":                   "umount: invalid option -- 'n'",
		"mount -n fruit":                    "mount: invalid option -- 'n'",
		"wget -H x http://127.0.0.1:9":      "wget: invalid option -- 'H'",
		"xargs -p <fruit":                   "xargs: invalid option -- 'p'",
		"readlink -m fruit":                 "readlink: invalid option -- 'm'",
		"less -N fruit":                     "less: invalid option -- 'N'",
		"tty -x":                            "tty: invalid option -- 'x'",
		"sync fruit":                        "sync: unexpected operand 'fruit'",
		"md5sum -s fruit":                   "md5sum: -s is meaningful only with -c",
		"ls --all=x":                        "ls: option '--all' doesn't allow an argument",
		"ls --color=pink":                   "ls: invalid argument 'pink' for '--color'",
		"dd if=fruit iflag=direct":          "dd: invalid argument 'direct' to 'iflag'",
		"dd if=fruit status=progress":       "dd: invalid argument 'progress' to 'status'",
		"sh -b -c :":                        "illegal option -b",
		"set -l":                            "set: illegal option -l",
		"command -p ls":                     "command: illegal option -p",
		"jobs -x":                           "jobs: illegal option -x",
		"wait -n":                           "wait: illegal option -n",
		"hash nosuch":                       "hash: nosuch: not found",
		"declare -i n":                      "-i: bad variable name",
		"ulimit -aQ":                        "ulimit: illegal option -Q",
		"set -m":                            "can't access tty; job control turned off",
		"ip route add 10.0.0.0/8 proto all": "is garbage",
	} {
		if got := runLine(t, bin, dir, line); !strings.Contains(got.stderr, want) || got.code == 0 && line != "set -m" {
			t.Errorf("%s: ends with %d and %q, not with %q", line, got.code, got.stderr, want)
		}
	}
}

func TestOptionsHaveTheirEffect(t *testing.T) {
	bin := ours(t)
	for line, want := range map[string]string{
		"cp -u fruit text; head -n 1 text":                               "pear\n",
		"cp -u old fruit; head -n 1 fruit":                               "pear\n",
		"mv -u old fruit; head -n 1 fruit":                               "pear\n",
		"printf 'a\\n\\n\\nb\\n' | cat -s":                               "a\n\nb\n",
		"printf 'a10\\na9\\n' | sort -V":                                 "a9\na10\n",
		"printf 'MAR\\njan\\n' | sort -M":                                "jan\nMAR\n",
		"printf '1e3\\n5e1\\n' | sort -g":                                "5e1\n1e3\n",
		"printf '(b\\na\\n' | sort -d":                                   "a\n(b\n",
		"printf 'b\\0a\\0' | sort -z | tr '\\0' ,":                       "a,b,",
		"ls -w 20 -x d fruit old":                                        "fruit  old\n\nd:\na  b\n",
		"ls -tu old fruit":                                               "old\nfruit\n",
		"ls -t old fruit":                                                "fruit\nold\n",
		"ls -d --color=always d":                                         "\x1b[1;34md\x1b[m\n",
		"grep --color=always -n app fruit | head -n 1":                   "2:\x1b[01;31mapp\x1b[mle\n",
		"grep -FE 'a|f' fruit | wc -l":                                   "4\n",
		"tar cf x.tar -T list; tar tf x.tar":                             "fruit\n",
		"tar cf x.tar --exclude b d; tar tf x.tar | sort":                "d/\nd/.hide\nd/a\n",
		"tar caf x.tgz fruit; gzip -t x.tgz; echo $?":                    "0\n",
		"seq -ws, 8 10":                                                  "08,09,10\n",
		"dd if=fruit bs=100 count=1 iflag=fullblock 2>/dev/null | wc -l": "5\n",
		"chmod -c 600 fruit; chmod -c 600 fruit":                         "mode of 'fruit' changed to 0600 (rw-------)\n",
		"chmod -f 600 nosuch; echo $?":                                   "1\n",
		"rmdir --ignore-fail-on-non-empty d; echo $?":                    "0\n",
		"sleep 3 & pgrep -P $$ -n -l sleep | cut -d ' ' -f 2":            "sleep\n",
		"ps -o comm -p $$ -T | sed -n 2p":                                "sh\n",
		"sh -v script 2>&1 | head -n 1":                                  "echo script $0 $1 $#\n",
		"HOME=$PWD sh -l -c 'echo $FROM'":                                "profile\n",
		"cd d; mkdir -p q; ln -s q w; cd w; env pwd -L | sed 's,.*/,,'":  "w\n",
		"date -u -d @0 -I; date -u -d @0 -Ihours":                        "1970-01-01\n1970-01-01T00+00:00\n",
		"hash -r ls && echo found":                                       "found\n",
	} {
		dir := stageFiles(t)
		for name, text := range map[string]string{"old": "old\n", "list": "fruit\n", ".profile": "FROM=profile\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// old was written before the others and read after them.
		if got := runLine(t, bin, dir, "touch -d 2020-01-01 text old; touch -a old; touch -a -d 2021-01-01 fruit; "+line); got.stdout != want {
			t.Errorf("%s: gives %q and %q, not %q", line, got.stdout, got.stderr, want)
		}
	}
}
