"""A timeline of `nvflare` commands, each one process, and what plays it with one federation.

`{NAME}` in a line is the id of the job that `submit` or `clone` made under that name, `<JOBS>` the folder of the job
folders, `<OUT>` that of the downloads, `<RUN>` a token of this run.
"""

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import job_folders
import rules
from people import OWNER
from rules import Rules
from sites import Sites

# As in `script/job_life.py`: real jobs take a quarter of a minute, and longer beside others.
SETTLING_LIMIT = 180.0
POLL = 0.5
# Waited for in place of a status: that the server's process of a running job answers.
ANSWERS = "answers"
# Waited for in place of a job: that exactly these sites are connected; that these registered anew since the last `restart`.
CONNECTED = "connected sites"
RESTARTED = "restarted sites"
NO_JOB = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"

# The command submits a copy of the folder that has a random name.
FOLDER_IN_TEXT = rules.same_after(
    lambda text: re.sub(r"\btmp\w+", "tmp~", text), "the command makes up the name of the folder", r"output\.message|errors"
)


@dataclass(frozen=True)
class CliLine:
    """One command, or one thing to be waited for."""

    line: str
    allowed: Rules = Rules()
    # Whose kit is used.
    who: str = OWNER
    # Under which name the id in the reply is kept.
    makes: str | None = None
    # It changes nothing that its neighbours would see: lines of which this is true run at the same time.
    only_looks: bool = False
    # Sites that started at the same time are listed in any order, so they are compared by their names.
    sites_by_name: bool = False
    # Started as a user starts it; other lines are forked from an interpreter, which saves most of what they compute.
    as_program: bool = False
    # Instead of a command: (name of the job, statuses to wait for).
    waits: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How reports name it."""
        return f"nvflare {self.line}" if not self.waits else f"(wait until {self.waits[0]}: {' or '.join(self.waits[1:])})"


def wait(*waits: str) -> CliLine:
    """Waits until a job, by its name, has one of the statuses that follow; or for sites, by their names."""
    return CliLine("", waits=waits)


def _sort_sites(output: Any) -> None:
    """Lists of sites are sorted where they are."""
    data = output.get("data") if isinstance(output, dict) else None
    for holder in (data, data.get("result") if isinstance(data, dict) else None):
        for member in ("clients", "client_status") if isinstance(holder, dict) else ():
            sites = holder.get(member)
            if isinstance(sites, list):
                holder[member] = sorted(sites, key=lambda site: site["client_name"])
            elif isinstance(sites, dict):
                holder[member] = dict(sorted(sites.items()))


class Player:
    """Goes through the lines with one federation."""

    def __init__(self, scratch: Path, run: Callable[[str, str, bool], dict], sites: Sites):
        self.run = run
        self.sites = sites
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

    def play(self, line: CliLine) -> dict:
        """What came of a line."""
        if line.waits:
            return self._wait(*line.waits)
        # One that only looks is refused, and several of them run at the same time.
        if " restart " in line.line and not line.only_looks:
            self.sites.remember()
        outcome = self.run(line.who, self._filled(line.line), line.as_program)
        text = json.dumps(outcome)
        for name, place in self.places.items():
            text = text.replace(json.dumps(str(place))[1:-1], name)
        outcome = json.loads(text)
        if line.sites_by_name:
            _sort_sites(outcome["output"])
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

    def _wait(self, name: str, *wanted: str) -> dict:
        if name in (CONNECTED, RESTARTED):
            return {"sites": self.sites.connected(*wanted) if name == CONNECTED else self.sites.restarted(*wanted)}
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            status = self._status(name, wanted)
            if status in wanted or time.monotonic() > ends:
                return {"status": status}
            time.sleep(POLL)

    def _status(self, name: str, wanted: tuple[str, ...]) -> str:
        if wanted == (ANSWERS,):
            stats = self.run(OWNER, f"job stats {self.jobs[name]} --site server --format json", False)
            return ANSWERS if stats["exit_code"] == 0 else "silent"
        return self.run(OWNER, f"job meta {self.jobs[name]} --format json", False)["output"]["data"]["status"]
