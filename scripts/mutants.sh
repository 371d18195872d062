#!/bin/sh
# Plants one bug after the other (testdata/mutants/*.patch) in a copy of the tree,
# and says what catches it: the first seed of the simulation that fails, or the
# tests that the patch's "Test:" line names, or those of allocator. It fails if one
# is not caught. mutants.sh NAME… tries these alone.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
go=${GO:-go}
seeds=${SEEDS:-20000}
workers=${WORKERS:-2}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/at"
(cd "$root" && git ls-files -z --cached --others --exclude-standard -- '*.go' go.mod go.sum '*.sql' '*.txt' '*.yaml' | xargs -0 cp --parents -t "$tree/at")
cd "$tree/at"

escaped=0
echo "| mutant | caught by | how soon |"
echo "| --- | --- | --- |"
for patch in "$root"/testdata/mutants/*.patch; do
	name=$(basename "$patch" .patch)
	case " $* " in
	"  " | *" $name "*) ;;
	*) continue ;;
	esac
	patch -p1 -s <"$patch"
	test=$(sed -n 's/^Test: //p' "$patch")
	caught=""
	if [ -z "$test" ]; then
		test="$go test -count=1 ./allocator/..."
		if ! "$go" build -trimpath -o "$tree/simulate" ./allocator/sim/simulate; then
			echo "$name does not build" >&2
			exit 1
		fi
		if ! timeout 300 "$tree/simulate" -seeds "$seeds" -workers "$workers" -progress 1h -table=false >"$tree/out" 2>&1; then
			seed=$(sed -n 's/^seed \([0-9]*\) fails after .*/\1/p' "$tree/out")
			after=$(sed -n 's/^seed [0-9]* fails after \(.*\) and.*/\1/p' "$tree/out")
			steps=$(sed -n 's/^as short as it gets: \([0-9]*\) of .*/\1/p' "$tree/out")
			rule=$(sed -n 's/^sim: seed [0-9]*, step -\{0,1\}[0-9]*: \([0-9]*:\{0,1\}[^:]*\):.*/\1/p' "$tree/out")
			caught="seed $seed ($rule) | $after, then minimised to $steps steps"
		fi
	fi
	if [ -z "$caught" ]; then
		began=$(date +%s)
		if ! timeout 500 sh -c "$test" >"$tree/out" 2>&1; then
			caught="$(sed -n 's/^ *--- FAIL: \([^ ]*\).*/\1/p' "$tree/out" | head -1) | $(($(date +%s) - began)) s with building"
		else
			escaped=1
			caught="**nothing** | "
		fi
	fi
	echo "| $name | $caught |"
	patch -p1 -s -R <"$patch"
done
exit $escaped
