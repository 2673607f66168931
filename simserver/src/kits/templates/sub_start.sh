#!/usr/bin/env bash
# Runs this participant with the nvflare of the Python in PATH, and starts it again when it ends.
#
#   sub_start.sh          keep it running
#   sub_start.sh --once   run it once, in the foreground
#
# nvflare and stop_fl.sh say by a file in the kit what is to happen: shutdown.fl ends it for good, restart.fl ends
# it to be started again. Without either it is started again as well, unless it ends too soon too often.
set -u

kit="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
signs=("$kit/pid.fl" "$kit/shutdown.fl" "$kit/restart.fl")

# An end within so many seconds is too soon, and so many of them in a row are too many.
too_soon=300
too_many=5

# Seconds to end by itself after it was asked to.
patience=10

run() {
  mkdir -p "$kit/transfer"
  exec python3 -u -m {module} -m "$kit" -s {config} \
    --set secure_train=true{uid} org={org} config_folder={config_folder}
}

is_alive() {
  kill -0 "$1" 2> /dev/null
}

if [[ "${1:-}" == "--once" ]]; then
  rm -f "${signs[@]}"
  run
fi

if [[ -f "$kit/daemon_pid.fl" ]] && is_alive "$(cat "$kit/daemon_pid.fl")"; then
  echo "it runs already, as process $(cat "$kit/daemon_pid.fl")" >&2
  exit 1
fi
echo $$ > "$kit/daemon_pid.fl"
trap 'rm -f "${signs[@]}" "$kit/daemon_pid.fl"' EXIT

ends=0
while true; do
  rm -f "${signs[@]}"
  started=$SECONDS
  run &
  pid=$!
  echo "$pid" > "$kit/pid.fl"

  while is_alive "$pid" && [[ ! -f "$kit/shutdown.fl" && ! -f "$kit/restart.fl" ]]; do
    sleep 1
  done
  for ((second = 0; second < patience; second++)); do
    is_alive "$pid" || break
    sleep 1
  done
  is_alive "$pid" && kill -9 "$pid"
  wait "$pid" 2> /dev/null

  [[ -f "$kit/shutdown.fl" ]] && break
  if ((SECONDS - started < too_soon)); then ((ends++)); else ends=0; fi
  if ((ends >= too_many)); then
    echo "it has ended $ends times in a row within $too_soon seconds, and is not started again" >&2
    exit 1
  fi
done
