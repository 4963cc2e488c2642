#!/bin/sh
# After installation. Nothing is started or enabled that was not running before: there is no
# configuration yet, and Puppet or an administrator decides what this machine is.
#
# $1 and $2: configure OLD-VERSION for dpkg, the number of installed versions for rpm.
set -e

upgrade=no
case "$1" in
configure) [ -z "$2" ] || upgrade=yes ;;
1) ;;
[2-9]) upgrade=yes ;;
*) exit 0 ;; # dpkg goes back to the old version, which it then configures
esac

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
[ "$upgrade" = yes ] || exit 0

# The new program takes over where the old one runs.
for service in choria-broker choria-server; do
	if [ -d /run/systemd/system ]; then
		systemctl try-restart "$service.service" || true
	elif [ -x "/etc/init.d/$service" ]; then
		"/etc/init.d/$service" try-restart || true
	fi
done
