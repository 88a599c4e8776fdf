#!/bin/bash
# fuzz.sh TIME [FOLDER...]: gives each fuzz test of the module, or of these folders, so much time. Making an interesting input smaller is
# bounded, or all of a short time goes into that.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
grep -rno --include='*_test.go' --exclude-dir=.cache '^func Fuzz[A-Za-z0-9_]*' "${@:-.}" | while IFS=: read -r file _ function; do
	name=${function#func }
	echo "=== $(dirname "$file") $name"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 10x "./$(dirname "$file")" </dev/null
done
