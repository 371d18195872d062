#!/usr/bin/env bash
# The linter, built from source into .bin. It is no dependency of the module.
#
#   golangci-lint.sh install    build it where it is missing or of another version
set -euo pipefail

version=v2.15.0

[ "${1:-}" = install ] && [ $# = 1 ] || {
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2
	exit 2
}

cd "$(dirname "$0")/.."
have=$(.bin/golangci-lint version --short 2>/dev/null || true)
if [ "v${have#v}" != "$version" ]; then
	echo "building golangci-lint $version (a few minutes, once)"
	GOBIN=$PWD/.bin nice -n 19 go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi
