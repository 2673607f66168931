#!/usr/bin/env python3
"""Runs the overseer service of nvflare 2.1 to 2.6, with two servers that report to it.

    overseer.py --certificates DIR --server HOST:FL_PORT:ADMIN_PORT --server HOST:FL_PORT:ADMIN_PORT --project NAME

DIR holds `overseer.crt`, `overseer.key` and `rootCA.pem`, and `client.crt` and `client.key` of a project admin. The service
is started as its startup kit starts it: gunicorn over mTLS. The servers are the official overseer agent in the role
`server`. When both are known, one line of JSON tells the end point and the primary server. Each line `promote
HOST:FL_PORT:ADMIN_PORT` on standard input makes a server the primary one, and is answered with a line of JSON. It ends with
its standard input.

Run it with a Python that has nvflare 2.6.
"""

import argparse
import ctypes
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from nvflare.ha.overseer_agent import HttpOverseerAgent

# Longest that the service takes to start, and its servers to be known.
START_TIMEOUT = 120


def agent(arguments, end_point, role, name="", fl_port="", admin_port=""):
    made = HttpOverseerAgent(role, end_point, arguments.project, name, fl_port, admin_port, heartbeat_interval=1)
    certificates = arguments.certificates
    made.set_secure_context(*(str(certificates / name) for name in ("rootCA.pem", "client.crt", "client.key")))
    return made


def end_with_parent():
    # Also when the parent is killed.
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def start_service(certificates):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    service = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--workers", "1"),
            *("--certfile", str(certificates / "overseer.crt"), "--keyfile", str(certificates / "overseer.key")),
            *("--ca-certs", str(certificates / "rootCA.pem"), "--cert-reqs", "2", "--do-handshake-on-connect"),
            *("--worker-class", "nvflare.ha.overseer.worker.ClientAuthWorker", "--log-level", "warning"),
            "nvflare.ha.overseer.overseer:app",
        ],
        pass_fds=[listener.fileno()],
        preexec_fn=end_with_parent,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    return service, f"https://localhost:{listener.getsockname()[1]}/api/v1"


def known_servers(admin):
    information = getattr(admin, "overseer_info", {})
    return {server["sp_end_point"]: server["state"] for server in information.get("sp_list") or []}


def wait_for(condition, service):
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if service.poll() is not None:
            raise SystemExit(f"the overseer service ended with {service.returncode}")
        if time.monotonic() > deadline:
            raise SystemExit("the overseer did not get to know the servers")
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--server", action="append", required=True)
    parser.add_argument("--project", required=True)
    arguments = parser.parse_args()

    service, end_point = start_service(arguments.certificates)
    agents = [agent(arguments, end_point, "server", *server.split(":")) for server in arguments.server]
    admin = agent(arguments, end_point, "admin")
    try:
        # One after the other: the first that is heard becomes the primary one.
        for number, server in enumerate(agents):
            server.start()
            if number == 0:
                admin.start()
            wait_for(lambda: known_servers(admin).get(arguments.server[number]) == "online", service)
        wait_for(lambda: admin.get_primary_sp().name, service)
        primary = admin.get_primary_sp()
        said = {"end_point": end_point, "primary": f"{primary.name}:{primary.fl_port}:{primary.admin_port}"}
        print(json.dumps(said), flush=True)
        for line in sys.stdin:
            command, server = line.split()
            if command != "promote":
                raise SystemExit(f"unknown command {command}")
            print(json.dumps(admin.promote_sp(server).json()), flush=True)
    finally:
        service.terminate()
        # Their threads sleep between two heartbeats, and would be waited for.
        for made in [*agents, admin]:
            made._asked_to_exit = made._asked_to_stop_retrying = True
        service.wait()


if __name__ == "__main__":
    main()
