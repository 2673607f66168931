#!/usr/bin/env bash
# Starts this participant in the background.
startup="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$startup/sub_start.sh" &
