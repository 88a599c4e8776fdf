#!/bin/bash
# fuzz.sh TIME: gives each fuzz test of the module so much time.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file _ function; do
	name=${function#func }
	echo "=== $(dirname "$file") $name"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$(dirname "$file")" </dev/null
done
