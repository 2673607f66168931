#!/usr/bin/env bash
# Starts the interactive admin console of the nvflare of the Python in PATH.
kit="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
mkdir -p "$kit/transfer"
exec python3 -m nvflare.fuel.hci.tools.admin -m "$kit" -s fed_admin.json "$@"
