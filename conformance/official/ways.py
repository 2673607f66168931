#!/usr/bin/env python3
"""Every way in: release x scheme x security x {our client on the real server, the official client on the simulator}.

Each cell is the main job of a client: log in, look at the system, submit a small job, wait for its end, list, download and
delete it, log out. Writes the table as Markdown, and closes with `N passed, N failed`.

    ways.py --venv 2.7.3=/tmp/venv27 --venv 2.8.3=/tmp/venv28 --venv 2.9.0=/tmp/venv \\
        --tool target/debug/flare-conformance --simulator target/debug/flare-simserver \\
        --client target/debug/examples/main_job --output docs/ways.md
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[1] / "projects" / "two-orgs.yml"
SCHEMES = ["http", "tcp", "grpc"]
SECURITIES = ["tls", "clear"]
ADMIN = "admin@nvidia.com"
# Longer than any step takes on a busy machine.
PATIENCE = 300

# What the official client does; runs in the virtual environment of its release.
OFFICIAL = """
import os, sys
from nvflare.fuel.flare_api.flare_api import new_secure_session
session = new_secure_session(sys.argv[1], sys.argv[2])
print("login")
try:
    print("system:", len(session.get_system_info().client_info), "sites")
    job = session.submit_job(sys.argv[3])
    print("submit")
    print("end:", session.monitor_job(job, timeout=120, poll_interval=0.5).name)
    assert any(listed["job_id"] == job for listed in session.list_jobs())
    print("list")
    assert os.path.isfile(os.path.join(session.download_job_result(job), "meta.json"))
    print("download")
    session.delete_job(job)
    print("delete")
finally:
    session.close()
print("logout")
"""

STEPS = ["login", "system", "submit", "end", "list", "download", "delete", "logout"]


def make_job(folder):
    """A job that ends by itself at once: a server workflow without clients, which every release runs."""
    job = folder / "job"
    for part in ("config", "custom"):
        (job / "app" / part).mkdir(parents=True)
    meta = {"name": "job", "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}}
    (job / "meta.json").write_text(json.dumps(meta))
    server = {"format_version": 2, "workflows": [], "components": []}
    (job / "app" / "config" / "config_fed_server.json").write_text(json.dumps(server))
    client = {"format_version": 2, "executors": [], "components": []}
    (job / "app" / "config" / "config_fed_client.json").write_text(json.dumps(client))
    return job


def outcome(command, **more):
    """Runs a client; the cell that comes of it, and what was said when it is not whole."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **more)
    except subprocess.TimeoutExpired:
        return "no end", ""
    said = [line.split(":")[0] for line in done.stdout.splitlines()]
    missing = [step for step in STEPS if step not in said]
    if done.returncode == 0 and not missing:
        return "done", ""
    return f"fails before {missing[0] if missing else 'its end'}", done.stderr[-1500:]


def ways(releases):
    """Every scheme with every release; with the last one also every security, and a port of their own for admins."""
    for release in releases:
        for scheme in SCHEMES:
            yield release, scheme, "mtls", "one"
    for scheme in SCHEMES:
        for security in SECURITIES:
            yield releases[-1], scheme, security, "one"
        yield releases[-1], scheme, "mtls", "two"


def project_of(way):
    _, scheme, security, ports = way
    text = PROJECT.read_text().replace("scheme: http", f"scheme: {scheme}")
    text = text.replace("api_version: 3\n", f"api_version: 3\nconnection_security: {security}\n")
    if ports == "two":
        text = text.replace("fed_learn_port: 8002", "fed_learn_port: 8002, admin_port: 8003")
    return text


def on_real(arguments, way, work, project, job):
    workspace = work / "real"
    tool = [arguments.tool, "real"]
    up = tool + ["up", "--version", way[0], "--project", str(project), "--venv", arguments.venv[way[0]]]
    started = subprocess.run(up + ["--workspace", str(workspace)], capture_output=True, text=True, timeout=PATIENCE)
    try:
        if started.returncode:
            return "no federation", started.stderr[-1500:]
        kits = json.loads(started.stdout.strip().splitlines()[-1])["kits"]
        return outcome([arguments.client, os.path.join(kits, ADMIN), str(job)])
    finally:
        subprocess.run(tool + ["down", "--workspace", str(workspace)], capture_output=True, timeout=PATIENCE)


def on_simulator(arguments, way, work, project, job):
    workspace = work / "simulated"
    ready = work / "simulated.json"
    serve = [arguments.simulator, "serve", "--project", str(project), "--workspace", str(workspace), "--port", "0"]
    serve += ["--release", way[0], "--ready-file", str(ready)]
    with subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + PATIENCE
            while not ready.exists() and server.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            if not ready.exists():
                return "no simulator", ""
            kit = os.path.join(json.loads(ready.read_text())["kits"], ADMIN)
            python = os.path.join(arguments.venv[way[0]], "bin", "python")
            return outcome([python, "-B", "-c", OFFICIAL, ADMIN, kit, str(job)], env={**os.environ, "HOME": str(work)})
        finally:
            server.terminate()
            server.wait()
            shutil.rmtree(workspace, ignore_errors=True)


def table(cells):
    lines = [
        "# Every way in",
        "",
        "Written by `conformance/official/ways.py`. A cell is the main job of a client: log in, look at the system, submit a",
        "small job, wait for its end, list, download and delete it, log out.",
        "",
        "| release | scheme | security | ports | our client on the real server | official client of the release on the simulator |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(way)} | {found['real']} | {found['simulated']} |" for way, found in cells.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", action="append", required=True, metavar="RELEASE=FOLDER")
    for name in ("tool", "simulator", "client", "output"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    arguments.venv = dict(pair.split("=", 1) for pair in arguments.venv)
    cells = {}
    work = pathlib.Path(tempfile.mkdtemp(prefix="flare-ways."))
    try:
        job = make_job(work)
        for way in ways(list(arguments.venv)):
            project = work / "project.yml"
            project.write_text(project_of(way))
            cells[way] = {}
            for side, run in (("simulated", on_simulator), ("real", on_real)):
                cell, said = run(arguments, way, work, project, job)
                cells[way][side] = cell
                print(" ".join(way), f"{side}: {cell}", flush=True)
                if cell != "done":
                    print(said, file=sys.stderr, flush=True)
            pathlib.Path(arguments.output).write_text(table({way: found for way, found in cells.items() if len(found) == 2}))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = [cell for sides in cells.values() for cell in sides.values()]
    failed = sum(cell != "done" for cell in found)
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
