#!/usr/bin/env bash
# Runs this participant with the nvflare of the Python in PATH until it ends. It is not started again.
kit="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
mkdir -p "$kit/transfer"
echo $$ > "$kit/pid.fl"
exec python3 -u -m {module} -m "$kit" -s {config} --set secure_train=true{uid} org={org} config_folder={config_folder}
