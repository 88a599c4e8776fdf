#!/bin/bash
# make test: every ring of tests, one stage after the other; a stage that fails does not keep the others from running. At the end:
# the time of each, the tests that were skipped and why, and what failed. A few tests that fail are run once more, alone: what
# then passes depends on a moment, does not count, and is named.
set -uo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	exec sudo -H env PATH="$PATH" CI="${CI:-}" test/run.sh "$@"
fi
. test/go.sh
mkdir -p test/.cache
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
summary=()
failed=()
began=$SECONDS

stage() { # stage NAME COMMAND...
	local name=$1 start=$SECONDS status=0
	shift
	echo
	echo "=== $name"
	"$@" || status=$?
	ended "$name" "$status" $((SECONDS - start))
}

ended() { # ended NAME STATUS SECONDS
	local word=ok
	[ "$2" = 0 ] || { word=FAIL && failed+=("$1"); }
	summary+=("$(printf '%4d s  %-4s  %s' "$3" "$word" "$1")")
}

# beside starts a stage beside those that follow; joined waits for it, and says then what it has said. What measures moments comes after that.
beside() { # beside NAME COMMAND...
	name_beside=$1
	shift
	(
		status=0 start=$SECONDS
		"$@" || status=$?
		echo "$status $((SECONDS - start))" >"$log/beside.end"
	) >"$log/beside" 2>&1 &
	job_beside=$!
}

joined() {
	local status=1 took=0
	[ -n "${job_beside:-}" ] || return 0
	wait "$job_beside"
	echo
	echo "=== $name_beside"
	cat "$log/beside"
	read -r status took <"$log/beside.end"
	ended "$name_beside (beside others)" "$status" "$took"
}

# report prints what matters of `go test -json` and keeps the skips and failures for the end.
tests() { # tests FLAGS PACKAGE...
	local flags=$1
	shift
	rm -f "$log/failed"
	go test -json -count=1 $flags "$@" 2>&1 | "$log/report" -skips "$log/skips" -failures "$log/failed" && return
	again "$log/failed" once "$flags" && return
	cat "$log/failed" >>"$log/failures"
	return 1
}

once() { go test -json -count=1 $1 -run "$(pattern "$3")" "$2" 2>&1 | "$log/report"; } # once FLAGS PACKAGE TEST
pattern() { sed 's/[][().*+?|^${}\\]/\\&/g; s/.*/^&$/; s|/|$/^|' <<<"$1"; }

# again runs COMMAND... PACKAGE TEST for each test of a list of failures, or for its failed subtests. A package that failed without
# a test of its was not built, or did not end; and many failures are no accident.
again() { # again LIST COMMAND...
	local list=$1 package test all
	shift
	[ -s "$list" ] || return 1
	all=$(awk '{ split($2, n, "/"); if (n[2] == "") whole[$1 " " n[1]]; else { print $1, n[1] "/" n[2]; has[$1 " " n[1]] } if (n[1]) has[$1 " "] }
		END { for (t in whole) if (!(t in has)) print t }' "$list" | sort -u)
	[ "$(wc -l <<<"$all")" -le 5 ] || return 1
	while read -r package test; do
		echo "once more: $package $test"
		[ -n "$test" ] && "$@" "$package" "$test" </dev/null || return 1
	done <<<"$all"
	echo "$all" >>"$log/shaky"
}

packages() {
	if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
		# The server's package would make a cluster, which nobody needs here: pg_createcluster(1).
		test/packages.sh postgresql-common && sed -i 's/^#create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
	fi
	test/packages.sh apache2-utils apparmor attr bind9-dnsutils bubblewrap buildah busybox-static bzip2 ca-certificates containerd cpio curl debootstrap \
		dnsmasq-base docker-registry e2fsprogs gcc git iproute2 iptables jq kmod musl-tools netavark nftables nginx-light openssh-client passwd podman \
		postgresql procps python3-flask python3-pip qemu-system-x86 redis-server redis-tools runc skopeo strace tcpdump tini tmux umoci \
		util-linux vagrant xz-utils zstd
	go mod download && go build -o "$log/report" ./test/report
}

style() {
	local unformatted
	unformatted=$(find . -name '*.go' -not -path './test/.cache/*' -exec gofmt -l {} +)
	if [ -n "$unformatted" ]; then
		echo "gofmt would change: $unformatted"
		return 1
	fi
	go vet ./... && GOARCH=arm64 go vet ./...
}

build() { test/build.sh bin; }
kernel() { tests "-timeout 15m" $(go list ./... | grep -v -e /test/build -e /test/conformance -e /test/docker -e /test/engines -e /test/load -e /test/network -e /test/soak -e /test/volume); }
races() {
	if ! command -v gcc >/dev/null; then
		echo "no C compiler, which the race detector needs" | tee -a "$log/skips"
		return 0
	fi
	CGO_ENABLED=1 tests "-race -short -timeout 10m" ./linux ./store ./namespaces ./cgroups ./confine ./network ./firewall ./volume ./attendant ./image ./event ./logfile ./archive ./seccomp ./progress ./source ./dockerfile
}
conformance() { tests "-timeout 10m -parallel 6" ./test/conformance; }
fuzz() { test/fuzz.sh 3s runtime oci seccomp archive image source dockerfile lab recording; }
docker() { test/tools/docker/build.sh test/.cache/docker && test/tools/buildx/build.sh test/.cache/docker; }
# One after the other: both measure moments.
components() { tests "-p 1 -timeout 10m" ./test/network ./test/volume; }
load() { tests "-timeout 15m" ./test/load; }
engines() { tests "-timeout 10m" ./test/engines; }
builds() { tests "-timeout 10m" ./test/build; }
sideBySide() { tests "-timeout 25m" ./test/docker/...; }

vm() {
	nice -n 5 go run ./test/vm test ./... 2>&1 | tee "$log/vm" && return
	sed -n 's/^--- FAIL: \(Test[A-Za-z0-9_]*\).*/vm \1/p' "$log/vm" >"$log/vm.failed"
	again "$log/vm.failed" vmOnce && return
	cat "$log/vm.failed" >>"$log/failures"
	return 1
}
vmOnce() { go run ./test/vm test -run "$(pattern "$2")" ./...; }

usable_cgroup2() { # the controllers that tests need can be given away here
	local have=" $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null) "
	for c in cpu cpuset io memory pids; do [[ $have == *" $c "* ]] || return 1; done
}

stage "packages" packages
stage "style: gofmt, go vet (amd64 and arm64)" style
stage "build" build
stage "golden, kernel and strace tests" kernel
stage "Docker 28.5.2 and buildx, built" docker
if usable_cgroup2; then
	summary+=("         --   virtual machine: not needed, this host has cgroup v2 with all controllers")
else
	beside "cgroup v2, a second kernel and the classroom, in virtual machines" vm
fi
stage "OCI validation programs" conformance
stage "race detector" races
stage "fuzzing, for a moment: config.json, state files, seccomp, layers, archives, manifests, Dockerfiles, lessons, recordings" fuzz
stage "Dockerfiles beside Docker, BuildKit and buildah" builds
stage "side by side with Docker 28.5.2" sideBySide
joined
stage "real engines: containerd, Docker and podman drive glassrun" engines
stage "under load, at once, and after kills" load
stage "networks and volumes with real components" components

echo
if [ -s "$log/skips" ]; then
	echo "skipped:"
	sort -u "$log/skips" | sed 's/^/  /'
fi
if [ -s "$log/shaky" ]; then
	echo "shaky tests, which failed and passed when they were run again alone:"
	sort -u "$log/shaky" | sed 's/^/  /'
fi
if [ -s "$log/failures" ]; then
	echo "failed tests:"
	sort -u "$log/failures" | sed 's/^/  /'
fi
printf '%s\n' "${summary[@]}"
printf '%4d s  total\n' $((SECONDS - began))
if [ ${#failed[@]} != 0 ]; then
	printf 'FAIL: %s\n' "${failed[@]}"
	exit 1
fi
echo PASS
