#!/usr/bin/env python3
"""The `nvflare` command, as installed, as the client under test.

    flare-conformance client -- /path/to/python conformance/adapters/nvflare_command.py

Every call is a process of its own that logs in, asks one thing and logs out; what the command has no words for is
unsupported. Its JSON output is translated into what the API document calls it, and nothing is added.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from protocol import Failed, Unsupported, serve

PROGRAM = str(Path(sys.executable).with_name("nvflare"))

# A command takes about two seconds; a job is waited for as long as the referee wants.
LIMIT_SECONDS = 240

SESSIONS: dict[int, dict] = {}

# What the command calls the exceptions of the API.
KINDS = {
    "CONNECTION_FAILED": "NoConnection",
    "AUTH_FAILED": "AuthenticationError",
    "NOT_AUTHORIZED": "AuthorizationError",
    "STARTUP_KIT_MISSING": "ConfigError",
    "TIMEOUT": "TimeoutError",
    "INVALID_ARGS": "InvalidArgumentError",
    "LOG_CONFIG_INVALID": "InvalidArgumentError",
    "SITE_NOT_FOUND": "InvalidTarget",
    "JOB_NOT_FOUND": "JobNotFound",
    "JOB_NOT_RUNNING": "JobNotRunning",
    "JOB_NOT_DONE": "JobNotDone",
    "JOB_INVALID": "InvalidJobDefinition",
    "SUBMIT_TOKEN_CONFLICT": "SubmitTokenConflict",
    "SUBMIT_TOKEN_JOB_DELETED": "SubmitTokenJobDeleted",
    "OUTPUT_DIR_NOT_WRITABLE": "OSError",
}
# Codes of the server that the command passes on.
STUDY_CODES = (
    "STUDY_NOT_FOUND", "STUDY_ALREADY_EXISTS", "STUDY_HAS_JOBS", "USER_ALREADY_IN_STUDY", "USER_NOT_IN_STUDY",
    "INVALID_STUDY_NAME", "INVALID_SITE", "LOCK_TIMEOUT",
)
# A job that ended badly makes the command fail; the API gives its meta all the same.
BAD_ENDS = ("JOB_FAILED", "JOB_ABORTED", "JOB_FINISHED_EXCEPTION", "JOB_ABANDONED")


def run(session: dict, words: list[str], in_study: bool) -> dict:
    """Runs the command and gives its envelope."""
    command = [PROGRAM, *words, "--startup-kit", session["kit"], "--connect-timeout", str(session["timeout"])]
    if in_study:
        command += ["--study", session["study"]]
    command += ["--format", "json"]
    with tempfile.TemporaryDirectory() as home:
        # Nothing of the caller's own configuration.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_SECONDS,
            text=True,
        )
    sys.stderr.write(ended.stderr[-2000:])
    try:
        return json.loads(ended.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failed("InternalError", f"exit {ended.returncode} without JSON: {ended.stdout[-200:]}") from None


def checked(envelope: dict, area: str):
    """The data of an envelope, or the exception that it tells of."""
    if envelope.get("status") == "ok":
        return envelope.get("data")
    code, message, data = envelope.get("error_code"), envelope.get("message", ""), envelope.get("data") or {}
    # What the command refuses by itself it tells by its options.
    if code in STUDY_CODES or (area == "study" and code == "INVALID_ARGS" and "usage" not in data and "--" not in message):
        raise Failed("CommandError", message, code)
    kind = KINDS.get(code, "InternalError")
    if code == "AUTH_FAILED" and "authoriz" in message.lower():
        kind = "AuthorizationError"
    if code == "TIMEOUT" and area == "job":
        kind = "JobTimeout"
    raise Failed(kind, message, code, data.get("existing_job_id") or data.get("job_id"))


def only(arguments: dict, *names: str) -> None:
    """Refuses arguments that the command has no option for."""
    for name, value in arguments.items():
        if name not in names and value not in (None, False):
            raise Unsupported(f"the command has no option for {name}")


def options(arguments: dict, **flags: str) -> list[str]:
    """Options with the values of the arguments that are given."""
    words = []
    for name, flag in flags.items():
        if arguments.get(name) is not None:
            words += [flag, str(arguments[name])]
    return words


def site_of(arguments: dict) -> str:
    """One word for whom it is for, where the API has a type and names."""
    kind, names = arguments.get("target_type"), arguments.get("targets") or []
    if kind in ("all", "server"):
        return kind
    if kind != "client":
        raise Unsupported("the command has no types of targets")
    if len(names) != 1:
        raise Unsupported("the command takes one site")
    return names[0]


def targets_of(arguments: dict, names: str) -> list[str]:
    """A type and names, as words."""
    kind = arguments["target_type"]
    return ([] if kind == "all" else [kind]) + list(arguments.get(names) or [])


class Command:
    """The calls, each by the words of the command."""

    def __init__(self, session: dict):
        self.session = session

    def job(self, *words: str):
        return checked(run(self.session, ["job", *words], True), "job")

    def study(self, *words: str):
        return checked(run(self.session, ["study", *words], False), "study")

    def system(self, *words: str):
        return checked(run(self.session, ["system", *words], False), "system")

    # ---- jobs ----

    def submit_job(self, job_definition_path, submit_token=None):
        words = options({"token": submit_token}, token="--submit-token")
        return self.job("submit", "-j", job_definition_path, *words)["job_id"]

    def list_jobs(self, **given):
        only(given, "limit", "id_prefix", "name_prefix", "reverse", "submit_token")
        words = ["-r"] if given.get("reverse") else []
        words += options(given, limit="-m", id_prefix="-i", name_prefix="-n", submit_token="--submit-token")
        return self.job("list", *words)

    def get_job_meta(self, job_id):
        return self.job("meta", job_id)

    def clone_job(self, job_id):
        return self.job("clone", job_id)["new_job_id"]

    def abort_job(self, job_id):
        return self.job("abort", job_id, "--force")["status"]

    def delete_job(self, job_id):
        return self.job("delete", job_id, "--force")

    def download_job_result(self, job_id, destination=None):
        if destination is None:
            raise Unsupported("the command downloads to the folder that it is started in")
        return self.job("download", job_id, "-o", destination)["path"]

    def _followed(self, what, job_id, timeout, poll_interval):
        words = options({"timeout": timeout, "interval": poll_interval}, timeout="--timeout", interval="--interval")
        envelope = run(self.session, ["job", what, job_id, *words], True)
        if envelope.get("error_code") in BAD_ENDS:
            data = envelope["data"]
        else:
            data = checked(envelope, "job")
        return {**(data.get("job_meta") or {}), "job_id": data["job_id"], "status": data["status"]}

    def wait_for_job(self, job_id, timeout=None, poll_interval=None):
        return self._followed("wait", job_id, timeout, poll_interval)

    def monitor_job_and_return_job_meta(self, job_id, timeout=None, poll_interval=None, cb=None):
        if cb is not None:
            raise Unsupported("the command has no callbacks")
        # Whole seconds is all it takes.
        timeout = None if timeout is None else math.ceil(timeout)
        poll_interval = None if poll_interval is None else math.ceil(poll_interval)
        try:
            return ["JOB_FINISHED", self._followed("monitor", job_id, timeout, poll_interval)]
        except Failed as failed:
            if failed.kind == "JobTimeout":
                return ["TIMEOUT", None]
            raise

    def monitor_job(self, **given):
        return self.monitor_job_and_return_job_meta(**given)[0]

    def get_job_logs(self, **given):
        only(given, "job_id", "target", "tail_lines")
        words = options(given, target="--site", tail_lines="--tail")
        return self.job("logs", given["job_id"], *words)

    def configure_job_log(self, job_id, config, target=None):
        return self.job("log-config", job_id, config, *options({"site": target}, site="--site"))

    def show_stats(self, **given):
        return self.job("stats", given["job_id"], "--site", site_of(given))["stats"]

    # ---- system ----

    def check_status(self, **given):
        return self.system("status", *targets_of(given, "targets"))

    def get_client_job_status(self, client_names=None):
        return self.system("status", "client", *(client_names or []))["client_status"]

    def get_system_info(self):
        status = self.system("status", "server")
        sites = [
            {"name": site["client_name"], "last_connect_time": site["client_last_conn_time"]}
            for site in status.get("clients") or []
        ]
        server = {"status": status.get("server_status"), "start_time": status.get("server_start_time")}
        return {"server_info": server, "client_info": sites, "job_info": status.get("jobs") or []}

    def get_connected_client_list(self):
        return self.get_system_info()["client_info"]

    def report_resources(self, **given):
        return self.system("resources", *targets_of(given, "targets"))

    def report_version(self, **given):
        data = self.system("version", "--site", site_of(given))
        return {site["site"]: {name: value for name, value in site.items() if name != "site"} for site in data["sites"]}

    def configure_site_log(self, config, target=None):
        return self.system("log-config", config, *options({"site": target}, site="--site"))

    def _change(self, what, target_type, client_names=None, wait=True, timeout=None):
        words = [what, target_type, *(client_names or []), "--force"]
        words += ["--no-wait"] if not wait else options({"timeout": timeout}, timeout="--timeout")
        return self.system(*words)["result"]

    def restart(self, **given):
        return self._change("restart", **given)

    def shutdown(self, **given):
        return self._change("shutdown", **given)

    def disable_client(self, client_name):
        return {"clients": [self.system("disable-client", client_name, "--force")]}

    def enable_client(self, client_name):
        return {"clients": [self.system("enable-client", client_name, "--force")]}

    # ---- studies ----

    def _sites(self, what, study, sites=None, site_orgs=None):
        words = [what, study]
        if sites is not None:
            words += ["--sites", *sites]
        for group in site_orgs or []:
            words += ["--site-org", group]
        return self.study(*words)

    def register_study(self, **given):
        return self._sites("register", **given)

    def add_study_site(self, **given):
        return self._sites("add-site", **given)

    def remove_study_site(self, **given):
        return self._sites("remove-site", **given)

    def remove_study(self, study):
        return self.study("remove", study)

    def list_studies(self):
        return self.study("list")

    def show_study(self, study):
        return self.study("show", study)

    def add_study_user(self, study, user):
        return self.study("add-user", study, user)

    def remove_study_user(self, study, user):
        return self.study("remove-user", study, user)


CALLS = sorted(name for name in vars(Command) if not name.startswith("_") and name not in ("job", "study", "system"))


def answer(request: dict, _lines):
    """One call."""
    arguments = request.get("arguments") or {}
    if request["call"] == "connect":
        study = arguments.get("study") or "default"
        SESSIONS[request["id"]] = {"kit": arguments["kit"], "study": study, "timeout": arguments.get("timeout") or 10.0}
        return {"session": request["id"]}
    if request["call"] == "close":
        return SESSIONS.pop(request["session"], None) and None
    return getattr(Command(SESSIONS[request["session"]]), request["call"])(**arguments)


if __name__ == "__main__":
    hello = {"name": "nvflare-command", "release": version("nvflare"), "calls": CALLS}
    serve({**hello, "concurrent": True, "sessions": False}, answer)
