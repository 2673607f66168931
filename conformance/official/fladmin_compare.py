#!/usr/bin/env python3
"""The same calls by our FLAdminAPI and by the official one, on the same server: same statuses, same details.

    fladmin_compare.py --kits KITS --ours target/debug/examples/fladmin

Run it with the Python of an nvflare 2.7, the last release that has the class. The server may be of a later one: the kits
get the signature that 2.7 wants (`fladmin_kits.py`). Every call is made by both, one after the other, with our strict
reading and with our reading as the original. What is known to differ is declared below, each with its reason; a declared
difference that is not there is a failure too. Exit codes: 0 all is as declared, 1 not, 2 nothing could be compared.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import job_folders
from fladmin_kits import signed_copy

READINGS = ("strict", "as-original")
ADMINS = ("admin@nvidia.com", "member@nvidia.com")
PATIENCE = 120

# Why something differs. Those of the first list are about our strict reading only.
REFUSED = "a refusal is an error here, by the server's status word; the original looks for a few words and says SUCCESS"
WORDS = "the server's own words in place of 'could not handle server reply'"
NOTHING_FOUND = "a search that finds nothing is a success with an empty message"
LACKING = "the message says that the server does not offer the command"
AFTER_LOGOUT = "after a logout there is no session; the original calls that a runtime error"
KEY_WORDS = "an answer that came is SUCCESS at this level, whatever its words; the original looks for a few in it"
LOGGED_OUT = "after a logout a command line says at once that the session is over for good"
STRICT_ONLY = {REFUSED, WORDS, NOTHING_FOUND, LACKING, AFTER_LOGOUT, KEY_WORDS, LOGGED_OUT}
# These are about both readings.
WITH_TARGET = "reset_errors is sent with the target that current servers want"
WITH_JOB = "wait_until_server_stats needs a job here; without one the original can only run into its timeout"
UPLOADS = "the upload of 2.7 is not understood by servers since 2.9"
ABSENT = "the official 2.7 class has no such method any more"
INFO = "a status of the enumeration; the original's is 'ok' in lower case"


@dataclass(frozen=True)
class Call:
    """A call, and why its outcome may differ."""

    name: str
    arguments: dict = field(default_factory=dict)
    differs: str | None = None
    who: tuple[str, ...] = ADMINS[:1]

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({arguments})"


def call(name: str, differs: str | None = None, /, who: tuple[str, ...] = ADMINS[:1], **arguments) -> Call:
    """A call with its arguments by name."""
    return Call(name, arguments, differs, who)


UNKNOWN = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"

LOOKING = [
    call("check_status", target_type="server"),
    call("check_status", target_type="server", targets=["site-1"]),
    call("check_status", target_type="client"),
    call("check_status", target_type="client", targets=["site-1"]),
    call("check_status", target_type="client", targets=["site-2", "site-1"]),
    call("check_status", target_type="client", targets=["nosite"]),
    call("check_status", target_type="client", targets=["no site"]),
    call("check_status", target_type="all"),
    call("get_connected_client_list"),
    call("get_available_apps_to_upload"),
    call("list_jobs"),
    call("list_jobs", options="-d"),
    call("list_jobs", options="-d -m 1"),
    call("list_jobs", options="-d;"),
    call("list_jobs", REFUSED, options="-z"),
    call("show_stats", WORDS, job_id="nope", target_type="server"),
    call("show_stats", WORDS, job_id=UNKNOWN, target_type="client"),
    call("show_stats", job_id="", target_type="server"),
    call("show_stats", job_id="nope", target_type="all"),
    call("show_stats", job_id="nope", target_type="client", targets=["a b"]),
    call("show_errors", REFUSED, job_id="nope", target_type="server"),
    call("show_errors", job_id="nope", target_type="all"),
    call("reset_errors", WITH_TARGET, job_id="nope"),
    call("reset_errors", job_id=""),
    call("abort_job", job_id="nope"),
    call("abort_job", job_id=UNKNOWN),
    call("abort_job", job_id=""),
    call("delete_job", REFUSED, job_id="nope"),
    call("delete_job", REFUSED, job_id=UNKNOWN),
    call("clone_job", WORDS, job_id="nope"),
    call("clone_job", job_id=""),
    call("download_job", REFUSED, job_id="nope"),
    call("download_job", REFUSED, job_id=UNKNOWN),
    call("submit_job", job_folder=""),
    call("submit_job", job_folder="no-such-folder"),
    call("abort", LACKING, job_id="nope", target_type="all"),
    call("set_timeout", LACKING, timeout=5),
    call("list_sp", ABSENT),
    call("get_active_sp", ABSENT),
    call("promote_sp", ABSENT, sp_end_point="localhost:8002:8003"),
    call("remove_client", targets=[]),
    call("remove_client", targets=["nosite"]),
    call("remove_client", targets=["a b"]),
    call("restart", target_type="client", targets=["nosite"]),
    call("shutdown", target_type="client", targets=["nosite"]),
    call("shutdown", target_type="client", targets=["a b"]),
    call("ls_target", target="server"),
    call("ls_target", target="server", options="-l -a", path="startup"),
    call("ls_target", target="server", path="nope"),
    call("ls_target", target="server", path="../x"),
    call("ls_target", target="site-1", path="local"),
    call("ls_target", target="a b"),
    call("ls_target", target=""),
    call("cat_target", target="server", file="startup/fed_server.json"),
    call("cat_target", target="site-1", options="-n", file="startup/fed_client.json"),
    call("cat_target", target="server", file="nope.txt"),
    call("cat_target", target="server", file="x.key"),
    call("cat_target", target="server", file="/etc/x.txt"),
    call("cat_target", target="server", file="a/../x.txt"),
    call("cat_target", REFUSED, target="nosite", file="log.txt"),
    call("tail_target_log", target="site-1", options="-n 1"),
    call("tail_target_log", REFUSED, target="nosite"),
    call("tail_target_log", target="server", options="-n;"),
    call("get_working_directory", target="server"),
    call("get_working_directory", target="site-1"),
    call("get_working_directory", REFUSED, target="nosite"),
    call("grep_target", target="server", pattern="admin", file="startup/fed_server.json"),
    call("grep_target", REFUSED, target="server", options="-c", pattern="admin", file="startup/fed_server.json"),
    call("grep_target", NOTHING_FOUND, target="server", pattern="zzzzzz", file="startup/fed_server.json"),
    call("grep_target", target="server", pattern="x", file=""),
    call("grep_target", target="server", pattern="", file="log.txt"),
    call("wait_until_server_status", timeout=1, interval=1),
    call("wait_until_client_status", timeout=1, interval=1),
    call("wait_until_server_stats", WITH_JOB, timeout=1, interval=1),
    call("login"),
    call("do_command", command="list_jobs"),
    call("do_command", command="job_mgmt.list_jobs"),
    call("do_command", command="abort_job nope"),
    call("do_command", command="check_status"),
    call("do_command", command="check_status server"),
    call("do_command", KEY_WORDS, command="check_status client nosite"),
    call("do_command", command="pwd nosite"),
    call("do_command", command="show_stats"),
    call("do_command", command="get_job_meta nope"),
    call("do_command", command="list_jobs -z"),
    call("do_command", command="xyz"),
    call("do_command", command="job_mgmt.xyz"),
    call("do_command", command="submit_job no-such-folder"),
    call("do_command", command="submit_job a b"),
    call("do_command", command="download_job nope"),
    call("do_command", INFO, command="info"),
    # What a member may not do.
    call("check_status", target_type="server", who=ADMINS[1:]),
    call("restart", target_type="client", who=ADMINS[1:]),
    call("shutdown", target_type="all", who=ADMINS[1:]),
    call("restart", target_type="client", targets=["site-2"], who=ADMINS[1:]),
    call("remove_client", targets=["site-1"], who=ADMINS[1:]),
    call("get_working_directory", target="server", who=ADMINS[1:]),
    call("cat_target", target="server", file="log.txt", who=ADMINS[1:]),
    call("grep_target", target="site-1", pattern="x", file="log.txt", who=ADMINS[1:]),
    call("get_working_directory", target="site-1", who=ADMINS[1:]),
    call("do_command", KEY_WORDS, command="pwd server", who=ADMINS[1:]),
    call("do_command", KEY_WORDS, command="pwd site-1", who=ADMINS[1:]),
    call("list_jobs", who=ADMINS[1:]),
]

AFTERWARDS = [
    call("logout"),
    call("list_jobs", AFTER_LOGOUT),
    call("check_status", AFTER_LOGOUT, target_type="server"),
    call("do_command", LOGGED_OUT, command="list_jobs"),
    call("logout"),
]


class Worker:
    """A program that makes calls, one line in and one line out."""

    def __init__(self, command: list[str], log: Path):
        self.log = log.open("w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
        )
        self.is_ready = self._answer()["ready"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended; see {self.log.name}")
        return json.loads(line)

    def make(self, a_call: Call):
        """Makes the call."""
        self.process.stdin.write(json.dumps({"call": a_call.name, "arguments": a_call.arguments}) + "\n")
        return self._answer()

    def close(self) -> None:
        """Ends the program."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


# Moments, and whatever else is another one a moment later.
MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]?\d*|\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}|\d{10}\.\d+|\d+:\d\d:\d\d\.\d+"
)


# What a job that runs says differently a moment later.
MOVING = {"time", "duration", "phase", "current_round", "tasks", "current_tasks"}


def settled(value):
    """Without moments."""
    if isinstance(value, dict):
        return {key: settled(inner) for key, inner in value.items() if key not in MOVING}
    if isinstance(value, list):
        return [settled(inner) for inner in value]
    return MOMENT.sub("MOMENT", value) if isinstance(value, str) else value


def essence(a_call: Call, answer):
    """What has to be the same: status and details, and all that `do_command` gives."""
    answer = settled(answer)
    if a_call.name == "tail_target_log" and isinstance(answer.get("details"), dict) and answer["status"] == "SUCCESS":
        lines = answer["details"]["message"].splitlines()
        # The log goes on, so only how much of it is shown.
        return {"status": "SUCCESS", "details": len(lines) if "invalid target" not in lines[0] else lines}
    if a_call.name == "get_available_apps_to_upload":
        # The original gives them as the file system does.
        answer["details"]["app_list"].sort()
    if a_call.name in ("do_command", "login", "logout"):
        return answer
    return {key: answer.get(key) for key in ("status", "details", "absent") if key in answer}


class Comparison:
    """Makes calls twice and counts."""

    def __init__(self, official: Worker, ours: Worker, reading: str, who: str):
        self.official, self.ours, self.reading, self.who = official, ours, reading, who
        self.passed, self.failed, self.declared = 0, 0, Counter()

    def make(self, a_call: Call) -> tuple:
        """Makes the call by both and compares."""
        left, right = self.official.make(a_call), self.ours.make(a_call)
        self.judge(a_call, left, right)
        return left, right

    def judge(self, a_call: Call, left, right) -> None:
        """Compares two answers to the call."""
        left, right = essence(a_call, left), essence(a_call, right)
        reason = a_call.differs
        if self.reading != "strict" and reason in STRICT_ONLY:
            reason = None
        if (left == right) == (reason is None):
            self.passed += 1
            if reason:
                self.declared[reason] += 1
            return
        self.failed += 1
        what = "a declared difference is not there" if reason else "differs"
        print(f"\n{self.reading}, {self.who}: {a_call}: {what}\n  official {left}\n  ours     {right}")


def until(comparison: Comparison, job_id: str, words: tuple[str, ...]) -> None:
    """Waits until the job has one of these statuses."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        listed = comparison.ours.make(call("list_jobs"))["details"]
        if any(job["job_id"] == job_id and job["status"].startswith(words) for job in listed):
            return
        time.sleep(0.5)
    raise RuntimeError(f"job {job_id} did not get to {words}")


def until_asked(comparison: Comparison, job_id: str) -> None:
    """Waits until the job's processes have something to tell, which is some moments after it is said to run."""
    end = time.monotonic() + PATIENCE
    for kind, runner in (("server", "ServerRunner"), ("client", "ClientRunner")):
        question = call("show_stats", job_id=job_id, target_type=kind)
        while True:
            answer = comparison.ours.make(question)
            told = answer["details"]["message"].values() if answer["status"] == "SUCCESS" else []
            # The job is not for every site.
            if sum(runner in of for of in told) == (1 if kind == "server" else len(job_folders.SITES)):
                break
            if time.monotonic() > end:
                raise RuntimeError(f"job {job_id} does not answer: {answer}")
            time.sleep(0.5)


def deleted(worker: Worker, job_id: str):
    """The answer to deleting a job, once its processes have ended, which is some moments after its status."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = worker.make(call("delete_job", job_id=job_id))
        if "is running" not in str(answer["details"]) or time.monotonic() > end:
            return answer
        time.sleep(0.5)


def end_all(worker: Worker) -> None:
    """Ends what still runs of our jobs."""
    for job in worker.make(call("list_jobs"))["details"]:
        if job["job_name"].startswith("fladmin-") and not job["status"].startswith("FINISHED"):
            worker.make(call("abort_job", job_id=job["job_id"]))


def jobs(comparison: Comparison, folder: Path) -> None:
    """A job that runs, seen by both; ours submits, since the official upload does not arrive."""
    job = job_folders.endless(folder, f"fladmin-{comparison.reading}")
    submit = call("submit_job", UPLOADS, job_folder=str(job))
    if comparison.reading == "strict":
        official, ours = comparison.make(submit)
    else:
        official, ours = {}, comparison.ours.make(submit)
    job_id = ours["details"]["job_id"]
    until(comparison, job_id, ("RUNNING",))
    until_asked(comparison, job_id)
    for a_call in (
        call("show_stats", job_id=job_id, target_type="server"),
        call("show_stats", job_id=job_id, target_type="client", targets=["site-1"]),
        call("show_stats", job_id=job_id, target_type="client", targets=["nosite"]),
        call("show_errors", job_id=job_id, target_type="server"),
        call("reset_errors", WITH_TARGET, job_id=job_id),
        call("check_status", target_type="server"),
        call("check_status", target_type="client"),
        call("list_jobs"),
        call("delete_job", job_id=job_id),
        call("download_job", REFUSED, job_id=job_id),
        call("wait_until_client_status", timeout=1, interval=1),
        call("wait_until_server_status", timeout=1, interval=1),
    ):
        comparison.make(a_call)
    comparison.judge(
        call("abort_job", job_id=job_id),
        comparison.official.make(call("abort_job", job_id=job_id)),
        comparison.ours.make(call("abort_job", job_id=clone_running(comparison, job_id))),
    )
    until(comparison, job_id, ("FINISHED",))
    for a_call in (
        call("abort_job", job_id=job_id),
        call("show_stats", WORDS, job_id=job_id, target_type="server"),
        call("show_errors", REFUSED, job_id=job_id, target_type="server"),
    ):
        comparison.make(a_call)
    # Ids, and folders that are there already, differ; the rest of the words must not.
    pairs = []
    for worker in (comparison.official, comparison.ours):
        cloned = worker.make(call("clone_job", job_id=job_id))
        clone = cloned["details"]["job_id"]
        worker.make(call("abort_job", job_id=clone))
        until(comparison, clone, ("FINISHED",))
        fetched = worker.make(call("download_job", job_id=clone))
        text = json.dumps([cloned, fetched, deleted(worker, clone)]).replace(clone, "ID")
        pairs.append(re.sub(r'downloaded to [^"]*/transfer/', "downloaded to ", text))
    for a_call, left, right in zip(("clone_job", "download_job", "delete_job"), *map(json.loads, pairs), strict=True):
        comparison.judge(call(a_call), left, right)
    comparison.ours.make(call("wait_until_server_status", timeout=PATIENCE, interval=0.5))


def clone_running(comparison: Comparison, job_id: str) -> str:
    """Another run of the job, for what can be done once to each."""
    clone = comparison.ours.make(call("clone_job", job_id=job_id))["details"]["job_id"]
    until(comparison, clone, ("RUNNING",))
    return clone


def main() -> int:
    """Makes every call with every reading, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kits", type=Path, required=True, help="folder of kits of the federation")
    parser.add_argument("--ours", type=Path, required=True, help="the example `fladmin` of the client, built")
    parser.add_argument("--without-jobs", action="store_true", help="nothing that has to run first")
    arguments = parser.parse_args()
    passed, failed, declared = 0, 0, Counter()
    official_worker = Path(__file__).parent / "fladmin_official.py"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for who in ADMINS:
            kit = signed_copy(arguments.kits / who, place)
            for reading in READINGS:
                official = Worker([sys.executable, str(official_worker), str(kit)], place / "official.log")
                ours = Worker([str(arguments.ours), str(kit), reading], place / "ours.log")
                if not (official.is_ready and ours.is_ready):
                    print(f"{who}: logged in: official {official.is_ready}, ours {ours.is_ready}")
                    return 2
                comparison = Comparison(official, ours, reading, who)
                for a_call in LOOKING:
                    if who in a_call.who:
                        comparison.make(a_call)
                if who == ADMINS[0] and not arguments.without_jobs:
                    try:
                        jobs(comparison, place)
                    finally:
                        end_all(comparison.ours)
                for a_call in AFTERWARDS:
                    comparison.make(a_call)
                passed, failed = passed + comparison.passed, failed + comparison.failed
                declared += comparison.declared
                official.close()
                ours.close()
    print()
    for reason, count in declared.most_common():
        print(f"{count:3} declared: {reason}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if passed else 2


if __name__ == "__main__":
    sys.exit(main())
