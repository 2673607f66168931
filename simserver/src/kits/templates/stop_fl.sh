#!/usr/bin/env bash
# Ends this participant when nobody can log in any more; otherwise use the admin command `shutdown`, which lets the
# others know.
#
#   stop_fl.sh         ask first
#   stop_fl.sh --yes   do not ask
#
# It leaves shutdown.fl in the kit, a sign that sub_start.sh looks for every second: then the process has a few
# seconds to end by itself, and is killed after that. Jobs that run are lost.
set -eu

kit="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if [[ ! -f "$kit/daemon_pid.fl" ]] || ! kill -0 "$(cat "$kit/daemon_pid.fl")" 2> /dev/null; then
  echo "it does not run: there is no process for $kit/daemon_pid.fl" >&2
  exit 1
fi

if [[ "${1:-}" != "--yes" ]]; then
  read -r -n 1 -p "End the participant in $kit? Type y for yes: " answer
  echo
  if [[ "$answer" != [yY] ]]; then
    echo "It goes on."
    exit 0
  fi
fi

daemon="$(cat "$kit/daemon_pid.fl")"
touch "$kit/shutdown.fl"
echo "It has been asked to end."

# Longer than sub_start.sh waits before it kills the process.
for ((second = 0; second < 20; second++)); do
  kill -0 "$daemon" 2> /dev/null || { echo "It has ended."; exit 0; }
  sleep 1
done
echo "it has not ended yet: look for process $daemon" >&2
exit 1
