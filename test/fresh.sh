#!/bin/bash
# fresh.sh: what a newcomer does. Clones this repository's HEAD into a temporary directory and runs `make run` there, with data and
# run directories of its own, so that nothing that this checkout has built or stored can help; and in a network namespace of its own, since
# the first container on the default network makes a bridge and switches forwarding on.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
git -c safe.directory="$source" clone -q "$source" "$dir/glassbox"
cd "$dir/glassbox"
export GLASSBOX_ROOT=$dir/root GLASSBOX_RUN=$dir/run
make build
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -E"
$sudo unshare -n make run | tee "$dir/said"
grep -q 'Hello from' "$dir/said"
