#!/usr/bin/env bash
# Starts this participant in the background, with the nvflare of the Python in PATH.
#
#   start.sh           start it, and start it again when it ends; see sub_start.sh
#
# What it prints goes to the terminal; its own logs are log.txt and error_log.txt in the folder above this one.
# To end it, use the admin command `shutdown`, or stop_fl.sh when nobody can log in any more.
set -eu

startup="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

command -v python3 > /dev/null || { echo "there is no python3 in PATH" >&2; exit 1; }
"$startup/sub_start.sh" "$@" &
