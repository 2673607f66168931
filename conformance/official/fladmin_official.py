"""The official FLAdminAPI of 2.7 as a worker: calls come in as JSON lines, responses go out as JSON lines.

    python fladmin_official.py KIT

`{"call": "check_status", "arguments": {"target_type": "server"}}` is answered with the response as the API gives it. The
first line out says that the login is over. Needs an nvflare 2.7, the last release that has the class, and a kit that this
release accepts; see `fladmin_kits.py`.
"""

import json
import logging
import os
import sys

from nvflare.fuel.hci.client.fl_admin_api_runner import FLAdminAPIRunner

# What the API prints would go between the answers.
answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
logging.disable(logging.ERROR)


def answer(value) -> None:
    """One line out. Enumerations of the API are texts."""
    answers.write(json.dumps(value, default=str) + "\n")


def main() -> None:
    folder = os.path.abspath(sys.argv[1])
    runner = FLAdminAPIRunner(os.path.basename(folder), folder)
    api = getattr(runner, "api", None)
    if api is None:
        sys.exit(f"the official runner does not accept the kit {folder}")
    answer({"ready": api.is_ready()})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(getattr(api, request["call"])(**request["arguments"]))
        except AttributeError as error:
            answer({"absent": str(error)})
    api.close()
    # Threads of the cell would keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
