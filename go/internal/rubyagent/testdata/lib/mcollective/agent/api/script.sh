#!/bin/sh
[ "$1" = "$MCOLLECTIVE_REQUEST_FILE" ] || exit 9
[ "$2" = "$MCOLLECTIVE_REPLY_FILE" ] || exit 8
grep -q '"action":"script"' "$1" || exit 7
echo '{"seen":"'"$(pwd)"'"}' > "$2"
exit 3
