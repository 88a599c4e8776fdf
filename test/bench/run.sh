#!/bin/bash
# run.sh [-write README.md] [...]: installs the peers, builds what has to be built, measures.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
	exec sudo -H env PATH="$PATH" test/bench/run.sh "$@"
fi
. test/go.sh
test/packages.sh bubblewrap buildah busybox-static containerd crun curl bind9-dnsutils dnsmasq-base docker-registry gcc \
	iproute2 iptables libc6-dev netavark nftables nginx-light pigz podman redis-server redis-tools runc tcpdump tini zstd
test/tools/docker/build.sh test/.cache/docker
mkdir -p test/.cache/bench
gcc -O2 -Wall -static -o test/.cache/bench/floor test/bench/floor/floor.c
CGO_ENABLED=0 go build -o test/.cache/bench/bench ./test/bench
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o test/.cache/bench/empty ./test/bench/empty
exec test/.cache/bench/bench -floor test/.cache/bench/floor -empty test/.cache/bench/empty -docker test/.cache/docker -bin bin "$@"
