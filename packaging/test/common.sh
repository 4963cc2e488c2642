# Read by apt and dnf, which run in a throwaway copy of this machine, without a network and without
# systemd. scripts/test-packages has put repositories into /tmp/work:
#
#   repo      the packages
#   stranger  the same, signed with another key
#   upgrade   repo with a later version beside
#
# $version is that of the packages in repo, $later the other.
set -euo pipefail

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# quiet COMMAND...: what it says is of interest when it fails.
quiet() {
	"$@" >/tmp/log 2>&1 || { cat /tmp/log >&2; fail "$*"; }
}

# refused REASON COMMAND...: it must fail, and say why.
refused() {
	local reason=$1
	shift
	if "$@" >/tmp/log 2>&1; then fail "not refused: $*"; fi
	grep -q "$reason" /tmp/log || { cat /tmp/log >&2; fail "refused, but not for $reason: $*"; }
}

# eventually COMMAND...: waits until the command succeeds, a minute at most.
eventually() {
	local end=$((SECONDS + 60))
	until "$@" >/tmp/log 2>&1; do
		[ $SECONDS -lt $end ] || { cat /tmp/log >&2; fail "not within a minute: $*"; }
		sleep 0.1
	done
}

running() { pidof "$1" >/dev/null; }
stopped() { ! running "$1"; }
