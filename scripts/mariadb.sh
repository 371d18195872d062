#!/usr/bin/env bash
# A throwaway MariaDB server, for tests and for trying the MySQL sink.
#
#   mariadb.sh install           install the server's programs through apt-get where missing
#   mariadb.sh start DIR [PORT]  create DIR where missing, start a server in it, print its DSN
#   mariadb.sh stop DIR          stop that server; its data stays in DIR
#   mariadb.sh run DIR [PORT]    start a server in a new DIR, print "ready", serve until standard
#                                input closes, then kill it and remove DIR
#   mariadb.sh exec DIR [PORT]   create DIR where missing and become the server in it, in the foreground
#   mariadb.sh dsn DIR           print the DSN of the server in DIR
#
# The server listens on 127.0.0.1:PORT (default 3307) and on DIR/mariadb.sock, with user and
# password "tombola" and an empty database "tombola". It commits to disk on every transaction.
# Nothing of an installed system service is used or touched.
set -euo pipefail

fail() {
	echo "mariadb.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$0" >&2
	exit 2
}

# Debian keeps the server in sbin, which is not on everybody's PATH.
PATH=$PATH:/usr/sbin:/usr/local/sbin

have_server() {
	command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null &&
		command -v mariadb-admin >/dev/null
}

install_server() {
	have_server && return
	command -v apt-get >/dev/null || fail "no mariadbd here and no apt-get to install it with"
	local sudo=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "installing mariadb-server needs root or sudo"
		sudo=(sudo)
	fi
	"${sudo[@]}" apt-get update -q
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qy --no-install-recommends mariadb-server mariadb-client
	have_server || fail "mariadb-server was installed, but mariadbd is still missing"
}

require_server() {
	have_server || fail "mariadbd is not installed: run scripts/mariadb.sh install"
}

# as_root prints the option that mariadbd wants before it runs as root.
as_root() {
	if [ "$(id -u)" = 0 ]; then echo --user=root; fi
}

create() {
	local dir=$1
	mkdir -p "$dir"
	if [ -d "$dir/data/mysql" ]; then return; fi
	cat >"$dir/init.sql" <<-'SQL'
		CREATE USER IF NOT EXISTS tombola@'127.0.0.1' IDENTIFIED BY 'tombola';
		CREATE USER IF NOT EXISTS tombola@localhost IDENTIFIED BY 'tombola';
		GRANT ALL PRIVILEGES ON *.* TO tombola@'127.0.0.1' WITH GRANT OPTION;
		GRANT ALL PRIVILEGES ON *.* TO tombola@localhost WITH GRANT OPTION;
		CREATE DATABASE IF NOT EXISTS tombola;
	SQL
	# shellcheck disable=SC2046 # as_root prints one word or nothing
	mariadb-install-db --no-defaults $(as_root) --datadir="$dir/data" --skip-test-db \
		--skip-name-resolve --innodb-log-file-size=32M >"$dir/install.log" 2>&1 ||
		fail "mariadb-install-db failed: $(tail -n 5 "$dir/install.log")"
}

# options DIR PORT prints the server's, none of which may hold a space.
options() {
	case $1 in *[[:space:]]*) fail "no spaces in $1, please" ;; esac
	echo --no-defaults $(as_root) --datadir="$1/data" --init-file="$1/init.sql" \
		--socket="$1/mariadb.sock" --pid-file="$1/mariadb.pid" --log-error="$1/mariadb.log" \
		--bind-address=127.0.0.1 --port="$2" --skip-name-resolve --max-connections=300 \
		--innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=64M \
		--innodb-log-file-size=32M
}

# launch DIR PORT PREFIX... starts the server in the background, as pid $server.
launch() {
	local dir=$1 port=$2
	shift 2
	# shellcheck disable=SC2046 # options are words without spaces
	"$@" mariadbd $(options "$dir" "$port") </dev/null >>"$dir/mariadb.log" 2>&1 &
	server=$!
	echo "$port" >"$dir/port"
}

# become DIR PORT is the server, until it ends.
become() {
	local dir=$1 port=$2
	require_server
	create "$dir"
	echo "$port" >"$dir/port"
	# shellcheck disable=SC2046 # options are words without spaces
	exec mariadbd $(options "$dir" "$port") </dev/null >>"$dir/mariadb.log" 2>&1
}

answers() {
	mariadb-admin --no-defaults --socket="$1/mariadb.sock" --user=tombola --password=tombola \
		--connect-timeout=2 ping >/dev/null 2>&1
}

# await DIR returns once the server of pid $server answers; it fails where it ended instead.
await() {
	local dir=$1 tries=0
	until answers "$dir"; do
		kill -0 "$server" 2>/dev/null || fail "mariadbd ended: $(tail -n 5 "$dir/mariadb.log")"
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || fail "mariadbd does not answer: $(tail -n 5 "$dir/mariadb.log")"
		sleep 0.1
	done
}

dsn() {
	[ -f "$1/port" ] || fail "no server was started in $1"
	echo "tombola:tombola@tcp(127.0.0.1:$(cat "$1/port"))/tombola"
}

start() {
	local dir=$1 port=$2
	require_server
	create "$dir"
	if answers "$dir"; then
		fail "a server is running in $dir already"
	fi
	launch "$dir" "$port" setsid
	await "$dir"
	dsn "$dir"
}

stop() {
	local dir=$1 pid tries=0
	[ -f "$dir/mariadb.pid" ] || return 0
	pid=$(cat "$dir/mariadb.pid")
	kill -TERM "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 300 ] || fail "mariadbd (pid $pid) does not end"
		sleep 0.1
	done
}

clean_up() {
	if [ -n "$server" ]; then
		kill -KILL "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$doomed"
}

# run ends with its caller, however that ends: the kernel closes our standard input. Should this
# script be killed itself, the kernel kills the server (where setpriv exists to ask for it).
run() {
	local dir=$1 port=$2 prefix=()
	require_server
	if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then
		fail "$dir is not empty: run removes its directory at the end"
	fi
	server=
	doomed=$dir # a trap does not see the function's local names
	trap clean_up EXIT
	trap 'exit 1' INT TERM HUP
	create "$dir"
	if command -v setpriv >/dev/null; then
		prefix=(setpriv --pdeathsig KILL)
	fi
	launch "$dir" "$port" ${prefix[@]+"${prefix[@]}"}
	await "$dir"
	echo ready
	exec >&- # whoever reads our output is not kept waiting by us
	cat >/dev/null || true
}

[ $# -ge 1 ] || usage
command=$1
shift
case $command in
install)
	[ $# = 0 ] || usage
	install_server
	;;
start | run)
	[ $# = 1 ] || [ $# = 2 ] || usage
	mkdir -p "$1"
	"$command" "$(cd "$1" && pwd)" "${2:-3307}"
	;;
exec)
	[ $# = 1 ] || [ $# = 2 ] || usage
	mkdir -p "$1"
	become "$(cd "$1" && pwd)" "${2:-3307}"
	;;
stop | dsn)
	[ $# = 1 ] || usage
	[ -d "$1" ] || fail "no directory $1"
	"$command" "$(cd "$1" && pwd)"
	;;
*) usage ;;
esac
