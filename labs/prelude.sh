# What the scripts of lessons share. It stands before each of them; sh(1) runs both, in the lesson's directory.

# missing TEXT...: the check fails; TEXT says precisely what is missing, in words that tell what the kernel or glassbox has instead.
missing() {
	echo "$*" >&2
	exit 1
}

# ns PID KIND: the inode number of a process's namespace (pid, mnt, uts, ipc, net, user, cgroup, time); nothing where the process is gone.
ns() { readlink "/proc/$1/ns/$2" 2>/dev/null | tr -dc 0-9; }

# own PID KIND: the process has another namespace of that kind than this shell.
own() { [ -n "$(ns "$1" "$2")" ] && [ "$(ns "$1" "$2")" != "$(ns $$ "$2")" ]; }

# state CONTAINER FIELD: a field of inspect's State; nothing where there is no such container.
state() { glassbox inspect -f "{{.State.$2}}" "$1" 2>/dev/null; }

# by_hand KIND: the processes with a namespace of that kind other than ours that are in no container of glassbox's: what was made by hand.
by_hand() {
	_containers=" $(glassbox ps -q --no-trunc | while read -r id; do glassbox inspect -f '{{.State.Pid}}' "$id"; done | tr '\n' ' ') "
	for _dir in /proc/[0-9]*; do
		_pid=${_dir#/proc/}
		own "$_pid" "$1" || continue
		_container=
		for _c in $_containers; do [ "$(ns "$_c" "$1")" = "$(ns "$_pid" "$1")" ] && _container=$_c; done
		[ -n "$_container" ] || echo "$_pid"
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
field() { awk -v name="$2" '$1 == name || $1 == name ":" { print $2; exit }' "$1" 2>/dev/null; }
