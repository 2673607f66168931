"""Goes through the scripts with one federation's kits and writes down what came back. Started by `compare.py`."""

import argparse
import enum
import json
import os
import re
import sys
import time
import traceback
import uuid
from pathlib import Path

from federation import Federation, Kit, read_federation
from official_session import OfficialSession, quiet
import job_folders
from script import defects, job_life, steps_of_every_kit
from steps import Step

SITE_TOKEN = re.compile(r"\{token:([^}]+)\}")
JOB = re.compile(r"\{job:([^}]+)\}")


class Player:
    """What a step may use while it acts."""

    def __init__(self, federation: Federation, kit: Kit, scratch: Path | None = None):
        self.federation = federation
        self.kit = kit
        self.session: OfficialSession | None = None
        self.other_token = None
        self.site_tokens: dict[str, str] = {}
        # Where job folders are made, and the ids of the jobs that were made of them.
        self.scratch = scratch
        self.jobs: dict[str, str] = {}
        # Makes submit tokens new: a server remembers for ever what they stood for.
        self.run = str(uuid.uuid4())
        self._others: dict[str, OfficialSession] = {}
        self._malformed: list[tuple[str, Path]] = []

    def log_in(self) -> None:
        """Opens the session and learns the sites' tokens."""
        self.session = OfficialSession(self.federation, self.kit)
        self.session.line("check_status server")
        rows = self.session.exchanges.pop()["reply"]["data"][3]["rows"]
        self.site_tokens = {row[0]: row[4] for row in rows[1:]}

    def new_session(self) -> OfficialSession:
        """One more session of the same admin, whose replies are not kept."""
        return OfficialSession(self.federation, self.kit)

    def session_of(self, who: str | None) -> OfficialSession:
        """The session of the first admin of a role, opened when it is asked for; None is the player's own."""
        if who is None:
            return self.session
        if who not in self._others:
            role, elsewhere = who.split()[0], "another" in who
            fitting = (
                kit
                for kit in self.federation.kits
                if kit.role == role and (kit.organization != self.kit.organization) == elsewhere
            )
            self._others[who] = OfficialSession(self.federation, next(fitting))
            # One step, one list of replies, whoever got them.
            self._others[who].exchanges = self.session.exchanges
        return self._others[who]

    def malformed(self) -> list[tuple[str, Path]]:
        """The job folders that have something wrong, made once."""
        if not self._malformed:
            self._malformed = job_folders.malformed(self.scratch)
        return self._malformed

    @property
    def somebody_else(self) -> Kit:
        """A kit of another role, with more rights where there is one."""
        wanted = "member" if self.kit.role == "project_admin" else "project_admin"
        return next(kit for kit in self.federation.kits if kit.role == wanted)

    def resolve(self, text: str) -> str:
        """Fills in what is known only now."""
        text = JOB.sub(lambda found: self.jobs[found[1]], text)
        text = SITE_TOKEN.sub(lambda found: self.site_tokens[found[1]], text)
        return text.replace("{user}", self.kit.user).replace("{run}", self.run)


def main() -> int:
    """Records what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kits", required=True)
    parser.add_argument("--script", choices=["every-kit", "defects", "jobs"], required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    federation = read_federation(arguments.kits)
    if arguments.script == "defects":
        recording = {kit.who: _play(Player(federation, kit), defects.steps()) for kit in _project_admin(federation)}
    elif arguments.script == "jobs":
        with job_folders.temporary() as scratch:
            recording = {kit.who: _play_jobs(federation, kit, scratch) for kit in _project_admin(federation)}
            recording = json.loads(json.dumps(recording).replace(json.dumps(str(scratch))[1:-1], "<jobs>"))
    else:
        recording = {kit.who: _play_session(federation, kit) for kit in federation.kits}
    arguments.output.write_text(json.dumps(recording))
    return 0


def _project_admin(federation: Federation) -> list[Kit]:
    return [kit for kit in federation.kits if kit.role == "project_admin"][:1]


def _play_session(federation: Federation, kit: Kit) -> list[dict]:
    player = Player(federation, kit)
    player.log_in()
    return _play(player, steps_of_every_kit())


def _play_jobs(federation: Federation, kit: Kit, scratch: Path) -> list[dict]:
    player = Player(federation, kit, scratch)
    player.log_in()
    return _play(player, job_life.steps())


def _play(player: Player, steps: list[Step]) -> list[dict]:
    return [_outcome(player, step) for step in steps]


def _outcome(player: Player, step: Step) -> dict:
    if player.session:
        player.session.exchanges.clear()
    outcome = {"step": step.name}
    started = time.monotonic()
    try:
        with quiet():
            value = step.act(player)
        # A raw line has no value of its own.
        outcome["value"] = _plain(value)
    except Exception as error:
        outcome["raised"] = {"type": type(error).__name__, "text": str(error)}
    # For people who wonder where the time goes.
    print(f"{time.monotonic() - started:7.2f} s  {step.name}", file=sys.stderr)
    exchanges = list(player.session.exchanges) if player.session else []
    if step.own_sessions_only:
        for exchange in exchanges:
            _keep_own_sessions(exchange["reply"], player.session.session_ids)
    outcome["exchanges"] = exchanges
    return outcome


def _keep_own_sessions(reply: dict, own: set[str]) -> None:
    for item in reply["data"]:
        if item["type"] == "table":
            item["rows"] = [row for row in item["rows"] if row[3] in own or row[3] == "SESSION ID"]


def _plain(value):
    """A result of the client as what JSON can hold."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return {"class": type(value).__name__, **{name: _plain(one) for name, one in vars(value).items()}}


def _exit_with_threads_running() -> None:
    # A session that broke leaves threads of the official client behind, which would keep the process for ever.
    code = 1
    try:
        code = main()
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit_with_threads_running()
