#!/bin/sh
# Before removal, not before an upgrade: what runs is stopped and does not come back at the next boot.
#
# $1: remove or upgrade for dpkg, 0 for the last version or the number that stays for rpm.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

for service in choria-server choria-broker; do
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now "$service.service" || true
	elif [ -x "/etc/init.d/$service" ]; then
		"/etc/init.d/$service" stop || true
	fi
done
