#!/bin/bash
# run.sh [-write README.md] [...]: installs the peers, builds what has to be built, measures.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
	exec sudo -H env PATH="$PATH" test/bench/run.sh "$@"
fi
. test/go.sh
test/packages.sh bubblewrap busybox-static containerd crun docker-registry gcc iptables libc6-dev podman runc tini
test/tools/docker/build.sh test/.cache/docker
mkdir -p test/.cache/bench
gcc -O2 -Wall -static -o test/.cache/bench/floor test/bench/floor/floor.c
go build -o test/.cache/bench/bench ./test/bench
exec test/.cache/bench/bench -floor test/.cache/bench/floor -docker test/.cache/docker -bin bin "$@"
