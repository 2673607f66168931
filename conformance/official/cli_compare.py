#!/usr/bin/env python3
"""Compares two federations through the unmodified `nvflare` command.

    cli_compare.py --left REAL_KITS --right SIMULATED_KITS [--json FILE]

Every command below is run with the kit of every admin on either side, and the timelines of `cli_*.py` with several; exit code, standard output and standard error
must be the same but for ids, moments, ports and paths (`references.py`). In the JSON formats the one line is
compared as JSON, so that the report names the member that differs.

Run it with a Python that has nvflare; the command is taken from beside it. Exit codes as in `compare.py`.
"""

import argparse
import itertools
import json
import os
import re
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cli_jobs
import cli_process
import cli_studies
import cli_system
from cli_lines import CliLine, Player
from cli_process import Forker
from federation import Federation, Kit, read_federation
from references import References, differences
from report import Comparison, Finding, write_report
from rules import Rules
from sites import Sites

CONNECT_TIMEOUT = 60
# A command waits for most of its two seconds, but computes as well: more at once than this only makes them late.
AT_ONCE = 6

UNKNOWN_JOB = "0c5b3d67-1d0e-4c55-9d3e-1f5c2f0b7a11"
COMMANDS = [
    "job list",
    "job list -n a -i b -m 2 -r",
    "job list --study nost",
    "job meta nope",
    f"job meta {UNKNOWN_JOB}",
    "system status",
    "system status client site-1 site-3",
    "system status client nosite",
    "system version",
    "system version --site site-3",
    "system resources",
    "system resources client nosite",
    "study list",
]
# The text format is made from the same replies; it is read with the kits that see most and least.
COMMANDS_IN_TEXT = ["job list", "job meta nope", "system status", "system version", "system resources", "study list"]
ROLES_IN_TEXT = ("project_admin", "member")


# Timelines that go on at the same time; those of one list wait for those of the list before.
TIMELINES = (
    {"jobs": cli_jobs.lines, "studies": cli_studies.lines},
    {"system": cli_system.lines},
    {"server-life": cli_system.server_life},
)
PARTS = ("looking", *(name for together in TIMELINES for name in together))
# After it the federations are gone.
ONLY_WHEN_ASKED = "server-life"


def main() -> int:
    """Runs every command on both sides, compares, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--left", required=True, help="folder of kits, usually of the real federation")
    parser.add_argument("--right", required=True, help="folder of kits, usually of the simulated one")
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given several times")
    parser.add_argument("--server-life", action="store_true", help="end with what ends both federations")
    arguments = parser.parse_args()
    left, right = read_federation(arguments.left), read_federation(arguments.right)
    if [kit.who for kit in left.kits] != [kit.who for kit in right.kits]:
        print(f"the admins differ: {[kit.who for kit in left.kits]} <> {[kit.who for kit in right.kits]}")
        return 2
    parts = arguments.part or [part for part in PARTS if part != ONLY_WHEN_ASKED or arguments.server_life]
    sides = (left, right)
    compared = []
    forker = Forker()
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(AT_ONCE) as pool:
        for ready in [pool.submit(_make_ready, side) for side in sides]:
            ready.result()
        # What only looks comes first: it sees a server that has no jobs.
        if "looking" in parts:
            lines = [CliLine(line, who=kit.user) for kit in left.kits for line in _lines(kit)]
            runs = [[pool.submit(_run, side, line.who, line.line, home, forker) for side in sides] for line in lines]
            compared += [(line, [run.result() for run in pair]) for line, pair in zip(lines, runs, strict=True)]
        for together in TIMELINES:
            playing = [
                (make(), [pool.submit(_play, side, make(), home, forker) for side in sides])
                for name, make in together.items()
                if name in parts
            ]
            for lines, played in playing:
                compared += zip(lines, zip(*[side.result() for side in played], strict=True), strict=True)
    forker.close()
    comparison = Comparison(str(left.folder), str(right.folder))
    references = References()
    for line, (one, other) in compared:
        problems = differences(one, other, references, line.allowed)
        comparison.add(Finding("nvflare", left.kit(line.who).who, line.name, problems, one, other), line.allowed.reasons)
    write_report(comparison, arguments.json, "nvflare command")
    return 0 if comparison.is_clean else 1


def _lines(kit: Kit) -> list[str]:
    text = COMMANDS_IN_TEXT if kit.role in ROLES_IN_TEXT else []
    return [f"{command} --format json" for command in COMMANDS] + text


def _make_ready(federation: Federation) -> None:
    sites = Sites(federation)
    try:
        sites.make_ready()
    finally:
        sites.close()


def _play(federation: Federation, lines: list[CliLine], home: str, forker: Forker) -> list[dict]:
    sites = Sites(federation)
    scratch = Path(tempfile.mkdtemp(dir=home))

    def run(who: str, line: str, as_program: bool) -> dict:
        return _run(federation, who, line, home, None if as_program else forker)

    player = Player(scratch, run, sites)
    outcomes = []
    try:
        with ThreadPoolExecutor(AT_ONCE // 2) as pool:
            for together, some in itertools.groupby(lines, lambda line: line.only_looks):
                outcomes += pool.map(player.play, some) if together else map(player.play, some)
        return outcomes
    finally:
        sites.close()


def _run(federation: Federation, who: str, line: str, home: str, forker: Forker | None) -> dict:
    arguments = line.split()
    if "--connect-timeout" not in arguments:
        # A busy machine must not look like a difference; the command's own limit is five seconds.
        arguments[:0] = ["--connect-timeout", str(CONNECT_TIMEOUT)]
    # An own home for each: the command keeps its registry of kits there.
    with tempfile.TemporaryDirectory(dir=home) as own_home:
        kit = federation.kit(who).folder
        env = {"HOME": own_home, "PATH": "/usr/bin:/bin", "NVFLARE_STARTUP_KIT_DIR": str(kit)}
        code, output, errors = cli_process.run(arguments, env, forker)
    return {
        "exit_code": code,
        "output": _parsed(_named(federation, output)),
        "errors": _named(federation, errors),
    }


def _parsed(output: str):
    try:
        return json.loads(output)
    except ValueError:
        pass
    try:
        # Several lines of JSON, as `--format jsonl` writes them.
        return [json.loads(line) for line in output.splitlines()] or output
    except ValueError:
        return output


def _named(federation: Federation, text: str) -> str:
    return re.sub(rf"\b{federation.port}\b", "<port>", text.replace(str(federation.folder), "<kits>"))


def _exit_with_threads_running() -> None:
    # A session to a server that is gone leaves threads of the official client behind, which would keep the process.
    code = 1
    try:
        code = main()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
        else:
            code = ended.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit_with_threads_running()
