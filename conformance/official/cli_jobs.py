"""The life of jobs through the unmodified `nvflare job` command, run as processes.

Each line is one process. `{NAME}` in it is the id of the job that `submit` or `clone` made under that name, `<JOBS>`
the folder of the job folders, `<OUT>` that of the downloads, `<RUN>` a token of this run.
"""

import json
import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import job_folders
import rules
from references import VOLATILE
from rules import Rules

# As in `script/job_life.py`: real jobs take a quarter of a minute, and longer beside others.
SETTLING_LIMIT = 180.0
POLL = 0.5
# Waited for in place of a status: that the server's process of a running job answers.
ANSWERS = "answers"
NO_JOB = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"

LOG = rules.each_matches(".+", "what a run logs follows the threads of its processes", r"output(\.data\.logs\.server)?")
# How much there was of it.
LOG_SIZE = rules.number("how long a log is, its own run decides", r"output\.data\.sites\.server\.(bytes|lines)")
# A progress line comes with the moment of its poll: one more or less is chance, so only what ends them is compared.
SECONDS = rules.number("how long a run took, or was looked at", r"output\S*\.(elapsed_s|duration_s)")
SECONDS_IN_TEXT = rules.same_after(
    lambda text: VOLATILE.sub("~", re.sub(r"\d+\.\d+s", "~s", text)), "how long a run took, beside ids", r"output"
)
# The command submits a copy of the folder that has a random name.
FOLDER = rules.each_matches(r"tmp\w+", "the command makes up the name of the folder", r"output\S*\.job_folder_name")

FOLDER_IN_TEXT = rules.same_after(
    lambda text: re.sub(r"\btmp\w+", "tmp~", text), "the command makes up the name of the folder", r"output\.message|errors"
)


@dataclass(frozen=True)
class JobLine:
    """One command, or one thing to be waited for."""

    line: str
    allowed: Rules = Rules()
    # Under which name the id in the reply is kept.
    makes: str | None = None
    # Instead of a command: (name of the job, statuses to wait for).
    waits: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How reports name it."""
        return self.line or f"(wait until {self.waits[0]} is {' or '.join(self.waits[1:])})"


def lines() -> list[JobLine]:
    """All lines, in order; what they submit is gone at their end."""
    return [
        *_submitting(),
        *_finished(),
        *_running(),
        *_deleting(),
    ]


def _submit(folder: str, more: str = "", makes: str | None = None) -> JobLine:
    return JobLine(f"job submit -j <JOBS>/{folder} {more}--format json", FOLDER_IN_TEXT, makes=makes)


def _submitting():
    yield _submit("short", makes="short")
    yield _submit("no-workflow", makes="no-workflow")
    yield _submit("never", "--submit-token <RUN> ", makes="never")
    yield _submit("never", "--submit-token <RUN> ")
    yield _submit("short", "--submit-token <RUN> ")
    yield _submit("flawed")
    yield _submit("nothing")
    yield JobLine("job submit -j <JOBS>/flawed", FOLDER_IN_TEXT)
    yield JobLine("job list --submit-token <RUN> --format json")
    yield JobLine("job abort {never} --force --format json")
    yield JobLine("job abort {never} --force")
    yield JobLine("job list -n never")
    yield JobLine("job submit -j <JOBS>/never --submit-token <RUN>")
    yield JobLine("", waits=("short", "FINISHED:COMPLETED"))
    yield JobLine("", waits=("no-workflow", "FINISHED:EXECUTION_EXCEPTION"))


def _finished():
    for arguments in ("", "-r", "-m 1", "-n short", "-n none", "-i {short}"):
        yield JobLine(f"job list {arguments} --format json")
    yield JobLine("job meta {short} --format json", FOLDER)
    for name in ("short", "no-workflow", "never"):
        yield JobLine(f"job wait {{{name}}} --format json", SECONDS)
        yield JobLine(f"job monitor {{{name}}} --format json", SECONDS)
    yield JobLine("job wait {short}", SECONDS_IN_TEXT)
    yield JobLine("job monitor {short} --format jsonl", SECONDS)
    yield JobLine("job monitor {no-workflow} --format jsonl", SECONDS)
    yield JobLine("job logs {short} --tail 1 --format json", LOG + LOG_SIZE)
    yield JobLine("job logs {short} --tail 2", LOG)
    yield JobLine("job logs {short} --site site-1 --format json")
    yield JobLine("job logs {short} --site nosite --format json")
    yield JobLine("job stats {short} --format json")
    yield JobLine("job log-config {short} DEBUG --format json")
    yield JobLine("job download {short} -o <OUT> --format json")
    yield JobLine("job download {short} -o <OUT> --format json")
    yield JobLine("job download {short} -o <OUT>/text")
    yield JobLine("job clone {never} --format json", makes="clone")
    yield JobLine("job abort {clone} --force --format json")


def _running():
    yield _submit("endless", makes="endless")
    yield JobLine("", waits=("endless", "RUNNING"))
    yield JobLine("", waits=("endless", ANSWERS))
    yield JobLine("job wait {endless} --timeout 1 --interval 0.5 --format json")
    yield JobLine("job wait {endless} --timeout 1 --interval 0.5")
    yield JobLine("job monitor {endless} --timeout 1 --interval 1 --format json")
    # What it tells of a running job is its round at that moment, so only that it tells something is waited for above.
    yield JobLine("job logs {endless} --tail 1 --format json", LOG + LOG_SIZE)
    yield JobLine("job download {endless} -o <OUT> --format json")
    yield JobLine("job delete {endless} --force --format json")
    yield JobLine("job log-config {endless} DEBUG --site server --format json")
    yield JobLine("job abort {endless} --force --format json")
    yield JobLine("", waits=("endless", "FINISHED:ABORTED"))
    yield JobLine("job wait {endless} --format json", SECONDS)


def _deleting():
    for name in ("short", "no-workflow", "never", "clone", "endless"):
        yield JobLine(f"job delete {{{name}}} --force --format json")
    yield JobLine("job delete {short} --force --format json")
    yield JobLine("job delete {short} --force")
    yield _submit("never", "--submit-token <RUN> ")
    for command in ("meta", "wait", "monitor", "logs", "stats", "clone", "abort --force", "download -o <OUT>"):
        yield JobLine(f"job {command} {{short}} --format json")


class JobPlayer:
    """Goes through the lines with one federation."""

    def __init__(self, scratch: Path, run: Callable[[str], dict]):
        self.run = run
        self.jobs: dict[str, str] = {}
        # Submit tokens are new each time: a server remembers for ever what they stood for.
        self.token = str(uuid.uuid4())
        self.places = {"<JOBS>": scratch / "jobs", "<OUT>": scratch / "out"}
        folder = self.places["<JOBS>"]
        job_folders.job(folder, "short")
        job_folders.without_workflow(folder, "no-workflow")
        job_folders.never(folder, "never")
        job_folders.endless(folder, "endless")
        job_folders.job(folder, "flawed", deploy_map={})

    def play(self, line: JobLine) -> dict:
        """What came of a line."""
        if line.waits:
            return self._wait(*line.waits)
        outcome = self.run(self._filled(line.line))
        text = json.dumps(outcome)
        for name, place in self.places.items():
            text = text.replace(json.dumps(str(place))[1:-1], name)
        outcome = json.loads(text)
        if line.makes:
            # Where none was made the comparison shows why, and what follows is about a job that there is not.
            data = outcome["output"].get("data") if isinstance(outcome["output"], dict) else None
            data = data if isinstance(data, dict) else {}
            self.jobs[line.makes] = data.get("new_job_id") or data.get("job_id") or NO_JOB
        return outcome

    def _filled(self, line: str) -> str:
        for name, job_id in self.jobs.items():
            line = line.replace(f"{{{name}}}", job_id)
        for name, place in self.places.items():
            line = line.replace(name, str(place))
        return line.replace("<RUN>", self.token)

    def _wait(self, name: str, *statuses: str) -> dict:
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            if statuses == (ANSWERS,):
                stats = self.run(f"job stats {self.jobs[name]} --site server --format json")
                status = ANSWERS if stats["exit_code"] == 0 else "silent"
            else:
                status = self.run(f"job meta {self.jobs[name]} --format json")["output"]["data"]["status"]
            if status in statuses or time.monotonic() > ends:
                return {"status": status}
            time.sleep(POLL)

    def close(self) -> None:
        """Removes what was downloaded."""
        shutil.rmtree(self.places["<OUT>"], ignore_errors=True)
