#!/usr/bin/env bash
# timed.sh NAME COMMAND...: run a command and print how long it took.
name=$1; shift
start=$(date +%s.%N)
"$@"; code=$?
printf '%-28s %6.1f s\n' "$name" "$(echo "$(date +%s.%N) $start" | awk '{print $1 - $2}')"
exit $code
