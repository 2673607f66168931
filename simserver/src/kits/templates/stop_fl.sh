#!/usr/bin/env bash
# Ends the process that sub_start.sh started.
kit="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
[[ -f "$kit/pid.fl" ]] || { echo "not running: there is no $kit/pid.fl"; exit 1; }
kill "$(cat "$kit/pid.fl")" && rm -f "$kit/pid.fl"
