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
from collections.abc import Callable
from pathlib import Path

from nvflare.fuel.flare_api.api_spec import NoConnection

from federation import Federation, Kit, read_federation
from official_session import OfficialSession, quiet
import job_folders
from script import defects, job_life, steps_of_every_kit, studies, system
from sites import POLL, SETTLING_LIMIT, Sites
from steps import Step, action

SITE_TOKEN = re.compile(r"\{token:([^}]+)\}")
# Scripts of one project admin, in which others may take part.
TIMELINES = {
    "beginning": lambda: [action("the beginning", lambda player: player.sites.make_ready())],
    "jobs": job_life.steps,
    "studies": studies.steps,
    "system": system.steps,
    "server-life": system.server_life,
}
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
        self._in_studies: dict[tuple[str, str], OfficialSession] = {}
        self.sites = Sites(federation)
        self._malformed: list[tuple[str, Path]] = []

    def log_in(self) -> None:
        """Opens the session and learns the sites' tokens."""
        self.session = OfficialSession(self.federation, self.kit)
        self.session.line("check_status server")
        rows = self.session.exchanges.pop()["reply"]["data"][3]["rows"]
        self.site_tokens = {row[0]: row[4] for row in rows[1:]}

    def new_session(self, user: str | None = None, study: str = "default") -> OfficialSession:
        """One more session of the same admin or of another, whose replies are not kept."""
        return OfficialSession(self.federation, self.federation.kit(user or self.kit.user), study)

    def open_and_close(self, user: str, study: str) -> str:
        """Logs in and out, and tells into which study."""
        session = self.new_session(user, study)
        session.close()
        return session.claims(session.token)["study"]

    def session_of(self, who: str | None, study: str = "default") -> OfficialSession:
        """The session of a user by his name, or of the first admin of a role, opened when it is asked for.

        None is the player's own; every study has sessions of its own.
        """
        if study == "default" and who in (None, self.kit.user):
            return self.session
        if "@" in who:
            if (who, study) not in self._in_studies:
                self._in_studies[who, study] = self.new_session(who, study)
                self._in_studies[who, study].exchanges = self.session.exchanges
            return self._in_studies[who, study]
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

    def until(self, look: Callable, fits: Callable):
        """Looks again and again, over errors too, until what is seen fits; returns what was seen last."""
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            try:
                seen = look()
                if fits(seen):
                    return seen
            except Exception as error:
                seen = f"{type(error).__name__}: {error}"
            if time.monotonic() > ends:
                return seen
            time.sleep(POLL)

    def until_gone(self) -> str:
        """Waits until nobody can log in any more, and tells what the client says then."""

        def look():
            try:
                self.new_session().close()
            except NoConnection:
                return "NoConnection"
            return "connected"

        return self.until(look, lambda seen: seen == "NoConnection")

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
    parser.add_argument("--script", choices=["every-kit", "defects", *TIMELINES], required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    federation = read_federation(arguments.kits)
    if arguments.script == "defects":
        recording = {kit.who: _play(Player(federation, kit), defects.steps()) for kit in _project_admin(federation)}
    elif arguments.script in TIMELINES:
        steps = TIMELINES[arguments.script]()
        with job_folders.temporary() as scratch:
            recording = {kit.who: _play_timeline(federation, kit, scratch, steps) for kit in _project_admin(federation)}
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


def _play_timeline(federation: Federation, kit: Kit, scratch: Path, steps: list[Step]) -> list[dict]:
    player = Player(federation, kit, scratch)
    player.log_in()
    return _play(player, steps)


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
