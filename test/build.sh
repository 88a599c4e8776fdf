#!/bin/bash
# build.sh DIRECTORY: builds both programs as they are installed.
set -euo pipefail
export CGO_ENABLED=0
go build -trimpath -ldflags="-s -w" -o "$1/" ./cmd/glassbox
go build -trimpath -ldflags="-s -w -E glassbox/sealed.entry" -o "$1/" ./cmd/glassrun # sealed/entry.go says why
