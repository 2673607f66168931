#!/usr/bin/env python3
"""Compares two federations through the unmodified official client, reply by reply.

    compare.py --left REAL_KITS --right SIMULATED_KITS [--json FILE]

Both folders come from the same project file. With the kit of every admin on either side the same script is played
(`script/`), and every outcome on the left is held against the one on the right: the raw reply down to the order
of its members, what the client's own methods return or raise, and the return code and header names of the answer.
Ids, moments, ports and paths may differ as long as they stand for each other one to one (`references.py`); where
more may differ, the line says so and why (`rules.py`).

Run it with a Python that has nvflare. Exit code 0: no difference; 1: differences; 2: a side could not be recorded.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from federation import Federation, read_federation
from references import References, differences
from report import Comparison, Finding, write_report
from script import defects, job_life, steps_of_every_kit, studies, system

# A recording of seven kits takes under a minute; a server that answers nothing lets every line time out.
RECORDING_LIMIT_SECONDS = 1200
SCRIPTS = {
    "every-kit": steps_of_every_kit,
    "defects": defects.steps,
    "jobs": job_life.steps,
    "studies": studies.steps,
    "system": system.steps,
    "server-life": system.server_life,
}
# Played before any other, and compared with nothing.
BEGINNING = "beginning"
# Scripts that are played at the same time. All but `jobs` look at a server on which no job runs, and so come without it.
TOGETHER = ((BEGINNING,), ("every-kit", "defects"), ("jobs",), ("studies",), ("system",), ("server-life",))
# After it the federations are gone.
ONLY_WHEN_ASKED = "server-life"


def main() -> int:
    """Records both sides, compares, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--left", required=True, help="folder of kits, usually of the real federation")
    parser.add_argument("--right", required=True, help="folder of kits, usually of the simulated one")
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--server-life", action="store_true", help="end with what ends both federations")
    parser.add_argument("--script", choices=SCRIPTS, action="append", help="only this one; may be given several times")
    parser.add_argument("--keep", type=Path, help="folder in which to keep what was recorded")
    arguments = parser.parse_args()
    left, right = read_federation(arguments.left), read_federation(arguments.right)
    if [kit.who for kit in left.kits] != [kit.who for kit in right.kits]:
        print(f"the admins differ: {[kit.who for kit in left.kits]} <> {[kit.who for kit in right.kits]}")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        scripts = arguments.script or [name for name in SCRIPTS if name != ONLY_WHEN_ASKED or arguments.server_life]
        if not _record(left, right, scripts, folder, Path(scratch)):
            return 2
        comparison = _compare(left, right, scripts, folder)
    write_report(comparison, arguments.json, "official client")
    return 0 if comparison.is_clean else 1


def _record(left: Federation, right: Federation, scripts: list[str], folder: Path, home: Path) -> bool:
    sides = {"left": left, "right": right}
    # A federation compared with itself is recorded twice, one after the other: sessions of the one recording
    # would show in the other.
    rounds = [["left"], ["right"]] if left.folder == right.folder else [["left", "right"]]
    for names, together in itertools.product(rounds, TOGETHER):
        running = [
            _start_recorder(sides[name], script, folder / f"{name}.{script}.json", home)
            for name in names
            for script in together
            if script in (BEGINNING, *scripts)
        ]
        try:
            if not all([_ended_well(process) for process in running]):
                return False
        finally:
            for process in running:
                process.kill()
                process.wait()
    return True


def _start_recorder(federation: Federation, script: str, output: Path, home: Path) -> subprocess.Popen:
    command = [sys.executable, "-B", str(Path(__file__).with_name("record.py"))]
    command += ["--kits", str(federation.folder), "--script", script, "--output", str(output)]
    # What the client logs about refused connections is expected; it is shown only when a recording fails.
    return subprocess.Popen(
        command,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        # The client looks for a file in every folder below the one it runs in.
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=open(output.with_suffix(".log"), "w"),
    )


def _ended_well(process: subprocess.Popen) -> bool:
    output = Path(process.args[-1])
    try:
        code = process.wait(RECORDING_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        code = f"nothing after {RECORDING_LIMIT_SECONDS} s"
    if code != 0:
        log = output.with_suffix(".log").read_text().splitlines()
        print(f"recording {output.stem} failed ({code}):", *log[-30:], sep="\n  ")
    return code == 0


def _compare(left: Federation, right: Federation, scripts: list[str], folder: Path) -> Comparison:
    comparison = Comparison(str(left.folder), str(right.folder))
    references = References()
    for script in scripts:
        steps = SCRIPTS[script]
        recorded_left = _recording(left, folder / f"left.{script}.json")
        recorded_right = _recording(right, folder / f"right.{script}.json")
        for who, outcomes in recorded_left.items():
            for step, one, other in zip(steps(), outcomes, recorded_right[who], strict=True):
                problems = _problems(one, other, references, step.rules)
                comparison.add(Finding(script, who, step.name, problems, one, other), step.rules.reasons)
    return comparison


def _problems(left: dict, right: dict, references: References, allowance) -> list[str]:
    problems = []
    for member in ("value", "raised"):
        if (member in left) != (member in right):
            problems.append(f"{member}: only on the {'left' if member in left else 'right'}")
        elif member in left:
            problems += differences(left[member], right[member], references, allowance, member)
    exchanges = (left["exchanges"], right["exchanges"])
    if len(exchanges[0]) != len(exchanges[1]):
        problems.append(f"{len(exchanges[0])} replies <> {len(exchanges[1])} replies")
    for one, other in zip(*exchanges):
        for member in one:
            problems += differences(one[member], other[member], references, allowance, member)
    return problems


def _recording(federation: Federation, file: Path) -> dict:
    """A recording in which the side's own folder and port are named."""
    text = file.read_text().replace(json.dumps(str(federation.folder))[1:-1], "<kits>")
    return json.loads(re.sub(rf"\b{federation.port}\b", "<port>", text))


if __name__ == "__main__":
    sys.exit(main())
