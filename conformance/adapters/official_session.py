#!/usr/bin/env python3
"""The official Python `Session`, as installed, as the client under test.

    flare-conformance client -- /path/to/python conformance/adapters/official_session.py

Its methods are called with the arguments that the referee gives, by their names; what they give or raise is said as it is.
"""

import nvflare
from nvflare.fuel.flare_api.flare_api import Session
from protocol import Unsupported, serve

CALLS = [
    "abort_job", "add_study_site", "add_study_user", "cat_target", "check_status", "clone_job", "configure_job_log",
    "configure_site_log", "delete_job", "disable_client", "download_job_components", "download_job_result",
    "enable_client", "get_available_apps_to_upload", "get_client_job_status", "get_connected_client_list",
    "get_job_logs", "get_job_meta", "get_system_info", "get_working_directory", "grep_target", "head_target",
    "head_target_log", "list_job_components", "list_jobs", "list_studies", "ls_target", "monitor_job",
    "monitor_job_and_return_job_meta", "register_study", "remove_client", "remove_study", "remove_study_site",
    "remove_study_user", "report_resources", "report_version", "reset_errors", "restart", "set_timeout", "show_errors",
    "show_stats", "show_study", "shutdown", "shutdown_system", "submit_job", "tail_target", "tail_target_log",
    "unset_timeout", "wait_for_job",
]

SESSIONS: dict[int, Session] = {}


def connect(request: dict) -> dict:
    """What `new_secure_session` does, with the timeout that was given."""
    arguments = request["arguments"]
    session = Session(arguments["user"], arguments["kit"], study=arguments.get("study") or "default")
    if arguments.get("command_timeout"):
        session.set_timeout(arguments["command_timeout"])
    try:
        session.try_connect(arguments.get("timeout") or 10.0)
    except BaseException:
        try:
            session.close()
        except Exception:
            pass
        raise
    SESSIONS[request["id"]] = session
    return {"session": request["id"]}


def callback(request: dict, lines, goes_on: int):
    """A callback that tells the referee what it is given, and lets the monitoring go on so many times."""
    left = [goes_on]

    def tell(_session, job_id, job_meta, *_arguments, **_options) -> bool:
        lines.say({"id": request["id"], "callback": {"job_id": job_id, "job_meta": job_meta}})
        left[0] -= 1
        return left[0] >= 0

    return tell


def answer(request: dict, lines):
    """One call."""
    call, arguments = request["call"], dict(request.get("arguments") or {})
    if call == "connect":
        return connect(request)
    session = SESSIONS.get(request.get("session"))
    if session is None:
        raise Unsupported("no such session")
    if call == "close":
        return session.close()
    if arguments.get("cb"):
        arguments["cb"] = callback(request, lines, arguments["cb"]["continue"])
    return plain(getattr(session, call)(**arguments))


def plain(value):
    """A value as JSON has it: objects become their attributes, codes their names."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if hasattr(value, "name") and hasattr(value, "value") and isinstance(value, int):
        return value.name
    if isinstance(value, list):
        return [plain(part) for part in value]
    if hasattr(value, "__dict__") and not isinstance(value, dict):
        return {name: plain(part) for name, part in vars(value).items()}
    return value


if __name__ == "__main__":
    serve({"name": "official-session", "release": nvflare.__version__, "calls": CALLS, "concurrent": True}, answer)
