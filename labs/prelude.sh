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
