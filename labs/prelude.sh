# What the scripts of lessons share. It stands before each of them; sh(1) runs both, in the lesson's directory.

# missing TEXT...: the check fails; TEXT says precisely what is missing, in words that tell what the kernel or glassbox has instead.
missing() {
	echo "$*" >&2
	exit 1
}

# ns PID KIND: the inode number of a process's namespace (pid, mnt, uts, ipc, net, user, cgroup, time); nothing where the process is gone.
ns() { stat -Lc %i "/proc/$1/ns/$2" 2>/dev/null; }

# own PID KIND: the process has another namespace of that kind than this shell.
own() { [ -e "/proc/$1/ns/$2" ] && ! [ "/proc/$1/ns/$2" -ef "/proc/$$/ns/$2" ]; }

# state CONTAINER FIELD: a field of inspect's State; nothing where there is no such container.
state() { glassbox inspect -f "{{.State.$2}}" "$1" 2>/dev/null; }

# others PID: the process belongs to a container of glassbox's, or to a service of the system's, which has namespaces for reasons of its own
# (systemd gives some to udevd, logind and others). What this shell itself belongs to does not count.
others() {
	while IFS= read -r _line; do
		case $_line in
		*/glassbox/* | */system.slice/*.service*) grep -qxF "$_line" /proc/self/cgroup || return 0 ;;
		esac
	done 2>/dev/null <"/proc/$1/cgroup"
	return 1
}

# by_hand KIND: the processes in a namespace of that kind which was made by hand since the lesson began: it is not in $LAB/.before, where the
# inode numbers of all namespaces of that moment and of containers are, and its process is not a container's.
by_hand() {
	_known=" $(tr '\n' ' ' <"$LAB/.before") "
	stat -Lc '%i %n' /proc/[0-9]*/ns/"$1" 2>/dev/null | while read -r _inode _path; do
		_pid=${_path#/proc/}
		_pid=${_pid%%/*}
		case $_known in *" $_inode "*) continue ;; esac
		others "$_pid" || echo "$_pid"
	done
}

# running CONTAINER: sets pid to that of its first process, or says why there is none.
running() {
	pid=$(state "$1" Pid)
	[ -n "$pid" ] || missing "there is no container named $1"
	[ "$pid" != 0 ] || missing "$1 does not run: it is $(state "$1" Status)"
}

# answer FILE: sets answer to what the learner wrote there, without white space around it.
answer() {
	[ -e "$1" ] || [ ! -f "$HERE/$1" ] || missing "there is a file $1 in $HERE; it is looked for in $LAB: move it there, and work there (cd $LAB)"
	[ -e "$1" ] || missing "there is no file $1 in $LAB: write your answer to it"
	answer=$(sed 's/^[[:space:]]*//; s/[[:space:]]*$//' "$1")
	[ -n "$answer" ] || missing "the file $1 is empty"
}

# group PID: the directory of a process's group in cgroup v2.
group() {
	_group=$(sed -n 's/^0:://p' "/proc/$1/cgroup" 2>/dev/null)
	[ -z "$_group" ] || echo "$(findmnt -n -t cgroup2 -o TARGET | head -n 1)$_group"
}

# field FILE NAME: the value that stands behind a name in a file of lines "name value", as cgroup v2 and /proc/PID/status have them.
field() { while read -r _name _value _; do case $_name in "$2" | "$2:") echo "$_value"; return ;; esac; done 2>/dev/null <"$1"; }

# awaits COMMAND...: repeats a command until it succeeds, for half a minute or more; fails if it never does. For solutions: what they leave in the
# background takes a moment to come.
awaits() {
	for _try in $(seq 300); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	return 1
}

# runs PID NAME: the process has become the program of that name.
runs() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }

# zombies PID: "ZOMBIE PARENT" for each process that has ended, and whose parent, in PID's PID namespace, has not waited for it.
zombies() {
	ps -e -o pid=,ppid=,stat= | while read -r _pid _parent _stat; do
		case $_stat in Z*) [ "$(ns "$_parent" pid)" != "$(ns "$1" pid)" ] || echo "$_pid $_parent" ;; esac
	done
}

# propagation PID MOUNTPOINT: how the uppermost mount there is tied to others, in the process's namespace, as mountinfo has it: shared:N, master:N, or
# private; nothing where there is no mount.
propagation() { awk -v at="$2" '$5 == at { t = $7 == "-" ? "private" : $7 } END { print t }' "/proc/$1/mountinfo"; }
