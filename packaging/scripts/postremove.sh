#!/bin/sh
# After removal: systemd forgets the units, and init the links of purged scripts. Logs, streams and what
# administrators have written to /etc/choria stays.
#
# $1: remove, purge, upgrade and more for dpkg, the number of versions that stay for rpm.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ] && command -v update-rc.d >/dev/null; then
	update-rc.d choria-server remove
	update-rc.d choria-broker remove
fi
