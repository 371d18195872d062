#!/usr/bin/env bash
# A first look at speed: granted draws a second on three nodes with MariaDB,
# beside a fasthttp handler that does nothing, in turn, on this machine.
#
#   bench/firstlook/run.sh [CONNECTIONS [SECONDS [ROUNDS]]]
#
# CONNECTIONS (10000) keep-alive connections are spread over three nodes, or over
# three processes of the handler, by three wrk of one thread each. It prints a
# line for each run, then medians and their ratio. PROFILE=DIR keeps there what
# each node spends its CPU on in the middle of the last run.
set -euo pipefail
cd "$(dirname "$0")/../.."

connections=${1:-10000} seconds=${2:-10} rounds=${3:-3}
command -v wrk >/dev/null || { apt-get update -q && apt-get install -qy wrk; }
scripts/mariadb.sh install
dir=$(mktemp -d)
pids=()
cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait || true
	scripts/mariadb.sh stop "$dir/mariadb" >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap cleanup EXIT

CGO_ENABLED=0 go build -o "$dir/tombola" ./node/tombola
CGO_ENABLED=0 go build -o "$dir/noop" ./bench/firstlook/noop
dsn=$(scripts/mariadb.sh start "$dir/mariadb" 33307 | tail -n 1)

export TOMBOLA_ADMIN_TOKEN=speed TOMBOLA_SERVER=http://127.0.0.1:17071
nodes=() noops=()
for i in 1 2 3; do
	"$dir/tombola" serve --node-id "n$i" --data "$dir/n$i" --bootstrap-expect 3 --mysql "$dsn" \
		--http "127.0.0.1:1707$i" --cluster "127.0.0.1:1717$i" --gossip "127.0.0.1:1727$i" \
		--join 127.0.0.1:17271,127.0.0.1:17272,127.0.0.1:17273 2>"$dir/n$i.log" &
	nodes+=($!)
	"$dir/noop" "127.0.0.1:1708$i" &
	noops+=($!)
done
pids=("${nodes[@]}" "${noops[@]}")
for i in 1 2 3; do
	until curl -sf "http://127.0.0.1:1707$i/readyz" >/dev/null; do sleep 0.2; done
done
"$dir/tombola" prize create speed --total 1000000000 >/dev/null
sleep 8 # until each node leads its share
elections() { cat "$dir"/n?.log | grep -cE "starting election|stepping down" || true; }
settled=$(elections)

# ticks PID... prints the CPU time of processes, in hundredths of a second.
ticks() {
	local sum=0 pid spent
	for pid in "$@"; do
		spent=$(cut -d')' -f2 "/proc/$pid/stat" | awk '{print $12 + $13}')
		sum=$((sum + spent))
	done
	echo "$sum"
}

# load NAME PORT PID... runs one load and appends "rate cpu" to $dir/NAME.
load() {
	local name=$1 port=$2 before after
	shift 2
	before=$(ticks "$@")
	local generators=()
	for i in 1 2 3; do
		wrk -t1 -c$((connections / 3)) -d"${seconds}s" --latency -s bench/firstlook/draw.lua \
			"http://127.0.0.1:$port$i" -- "$i" >"$dir/wrk$i" &
		generators+=($!)
	done
	if [ -n "${PROFILE:-}" ] && [ "$name" = tombola ]; then
		for i in 1 2 3; do
			curl -sf -H "Authorization: Bearer $TOMBOLA_ADMIN_TOKEN" -o "$PROFILE/n$i.pprof" \
				"http://127.0.0.1:1707$i/debug/pprof/profile?seconds=$((seconds - 3))" &
			generators+=($!)
		done
	fi
	wait "${generators[@]}"
	after=$(ticks "$@")
	awk -v name="$name" -v cpu=$((after - before)) '
		/requests in/ { requests += $1 }
		/Requests\/sec/ { rate += $2 }
		/Non-2xx/ { failed += $NF }
		/ 90%/ { p90 = p90 " " $2 }
		/Socket errors/ { sockets = sockets " [" $0 "]" }
		END {
			printf "%-8s %8.0f/s  server CPU %5.1f us each  p90%s  not 200: %d %s\n",
				name, rate, cpu * 10000 / requests, p90, failed, sockets > "/dev/stderr"
			print rate, cpu * 10000 / requests
		}' "$dir"/wrk? >>"$dir/$name.rates"
}

for _ in $(seq "$rounds"); do
	load noop 1708 "${noops[@]}"
	load tombola 1707 "${nodes[@]}" "$(pgrep -f "mariadbd.*$dir" | head -n 1)"
done
median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
echo "medians: noop $(median "$dir/noop.rates")/s, tombola $(median "$dir/tombola.rates")/s, ratio $(
	echo "$(median "$dir/tombola.rates") $(median "$dir/noop.rates")" | awk '{printf "%.2f", $1 / $2}'
)"
echo "elections and step-downs under load: $(($(elections) - settled))"
time "$dir/tombola" verify || true
