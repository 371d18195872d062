#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other.
#
#   fuzz.sh [TIME]    TIME for each target, as go test -fuzztime takes it (10s)
#
# What a target fails on is kept below the package's testdata/fuzz: commit it
# together with the fix, then every go test tries it again.
set -euo pipefail

time=${1:-10s}
cd "$(dirname "$0")/.."

failed=0
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
	echo "== $(dirname "$file") $target"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")" || failed=1
done < <(git ls-files -co --exclude-standard -- '*_test.go' | xargs -r grep -HE '^func Fuzz[A-Za-z0-9_]*\(' | sort)
exit $failed
