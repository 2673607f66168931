#!/usr/bin/env python3
"""Compares two federations through the unmodified `nvflare` command.

    cli_compare.py --left REAL_KITS --right SIMULATED_KITS [--json FILE]

Every command below is run with the kit of every admin on either side; exit code, standard output and standard error
must be the same but for ids, moments, ports and paths (`references.py`). In the JSON formats the one line is
compared as JSON, so that the report names the member that differs.

Run it with a Python that has nvflare; the command is taken from beside it. Exit codes as in `compare.py`.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cli_jobs
from cli_jobs import JobLine, JobPlayer
from federation import Federation, Kit, read_federation
from references import References, differences
from report import Comparison, Finding, write_report
from rules import Rules

# A command takes about two seconds, most of it waiting; this is for a server that answers nothing.
COMMAND_LIMIT_SECONDS = 120
# Each command costs a second of computing before it connects: more at once than this only makes them late.
AT_ONCE = 4

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


def main() -> int:
    """Runs every command on both sides, compares, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--left", required=True, help="folder of kits, usually of the real federation")
    parser.add_argument("--right", required=True, help="folder of kits, usually of the simulated one")
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--only-jobs", action="store_true", help="leave out the commands that only look")
    arguments = parser.parse_args()
    left, right = read_federation(arguments.left), read_federation(arguments.right)
    if [kit.who for kit in left.kits] != [kit.who for kit in right.kits]:
        print(f"the admins differ: {[kit.who for kit in left.kits]} <> {[kit.who for kit in right.kits]}")
        return 2
    lines = [(kit.user, line) for kit in left.kits for line in ([] if arguments.only_jobs else _lines(kit))]
    job_lines = cli_jobs.lines()
    owner = next(kit.user for kit in left.kits if kit.role == "project_admin")
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [
            [pool.submit(_run, side, side.kit(user), line, home) for side in (left, right)] for user, line in lines
        ]
        outcomes = [[run.result() for run in pair] for pair in runs]
        # Jobs come after the others, which look at a server that has none.
        sides = [pool.submit(_play_jobs, side, side.kit(owner), job_lines, home) for side in (left, right)]
        job_outcomes = list(zip(*[side.result() for side in sides], strict=True))
    comparison = Comparison(str(left.folder), str(right.folder))
    references = References()
    compared = [(user, line, Rules(), pair) for (user, line), pair in zip(lines, outcomes, strict=True)]
    compared += [(owner, line.name, line.allowed, pair) for line, pair in zip(job_lines, job_outcomes, strict=True)]
    for user, line, allowed, (one, other) in compared:
        problems = differences(one, other, references, allowed)
        comparison.add(Finding("nvflare", left.kit(user).who, f"nvflare {line}", problems, one, other), allowed.reasons)
    write_report(comparison, arguments.json, "nvflare command")
    return 0 if comparison.is_clean else 1


def _lines(kit: Kit) -> list[str]:
    text = COMMANDS_IN_TEXT if kit.role in ROLES_IN_TEXT else []
    return [f"{command} --format json" for command in COMMANDS] + text


def _play_jobs(federation: Federation, kit: Kit, lines: list[JobLine], home: str) -> list[dict]:
    scratch = Path(tempfile.mkdtemp(dir=home))
    player = JobPlayer(scratch, lambda line: _run(federation, kit, line, home))
    return [player.play(line) for line in lines]


def _run(federation: Federation, kit: Kit, line: str, home: str) -> dict:
    command = [str(Path(sys.executable).with_name("nvflare")), *line.split()]
    # An own home for each: the command keeps its registry of kits there.
    with tempfile.TemporaryDirectory(dir=home) as own_home:
        run = subprocess.run(
            command,
            env={"HOME": own_home, "PATH": "/usr/bin:/bin", "NVFLARE_STARTUP_KIT_DIR": str(kit.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_LIMIT_SECONDS,
            text=True,
        )
    return {
        "exit_code": run.returncode,
        "output": _parsed(_named(federation, run.stdout)),
        "errors": _named(federation, run.stderr),
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


if __name__ == "__main__":
    sys.exit(main())
