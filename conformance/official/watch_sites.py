"""Prints the name of each site once it is registered and answers: watch_sites.py USER KIT SITE...

Used by `flare-conformance real up`; ends when all the named sites have been printed.
"""

import os
import sys
import time
import traceback

# The output that is read; the client itself talks on the standard output.
NAMES = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from nvflare.fuel.flare_api.flare_api import Session  # noqa: E402

# Until the server listens. Whoever started this has a limit of its own.
CONNECT_TIMEOUT = 600.0
POLL_INTERVAL = 0.1


def main(user, kit, wanted):
    session = Session(user, kit)
    session.try_connect(CONNECT_TIMEOUT)
    seen = set()
    while seen != wanted:
        status = session.do_command("check_status server").get("meta", {})
        for site in [client["client_name"] for client in status.get("clients", [])]:
            if site not in seen and answers(session, site):
                seen.add(site)
                print(site, file=NAMES)
        time.sleep(POLL_INTERVAL)
    session.close()


def answers(session, site):
    reply = session.do_command(f"check_status client {site}").get("meta", {})
    return [one["status"] for one in reply.get("client_status", [])] == ["no_jobs"]


if __name__ == "__main__":
    code = 1
    try:
        main(sys.argv[1], sys.argv[2], set(sys.argv[3:]))
        code = 0
    except BaseException:
        traceback.print_exc()
    # A broken session leaves threads of the client behind that would not let the process end.
    sys.stderr.flush()
    os._exit(code)
