#!/bin/bash
# build.sh DIR: builds the validation programs of the OCI's runtime-tools from their Go module into DIR, unless they are there already,
# with runtimetest, which they run inside a container, and the root file system that they unpack.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
module=github.com/opencontainers/runtime-tools
stamp=$(cat go.mod go.sum build.sh | sha256sum | cut -c1-16)
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi
source=$(go list -m -f '{{.Dir}}' $module)
if [ -z "$source" ]; then
	go mod download $module
	source=$(go list -m -f '{{.Dir}}' $module)
fi
echo "building OCI runtime-tools' validation programs (half a minute)"
programs=$(ls "$source/validation" | grep -vx util)
export CGO_ENABLED=0
go build -trimpath -ldflags "-s -w" -o "$out/" $module/cmd/runtimetest $(sed "s|^|$module/validation/|" <<<"$programs")
cp "$source/rootfs-$(go env GOARCH).tar.gz" "$out/"
chmod -R u+w "$out"
echo "$programs" >"$out/programs"
echo "$stamp" >"$out/stamp"
