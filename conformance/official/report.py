"""What a comparison found, for people and for programs."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path


# The names of steps that call a method of the official `Session`; a number may keep equal ones apart.
METHOD = re.compile(r"(?:\d+ )?Session\.(\w+)\(")


@dataclass(frozen=True)
class Finding:
    """One step of one kit, on both sides."""

    script: str
    who: str
    step: str
    problems: list[str]
    left: dict
    right: dict


@dataclass
class Comparison:
    """All findings."""

    left: str
    right: str
    passed: int = 0
    failed: list[Finding] = field(default_factory=list)
    steps_by_who: dict[str, int] = field(default_factory=dict)
    allowances: dict[str, int] = field(default_factory=dict)
    # How the steps about each method of `Session` fared.
    methods: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, finding: Finding, reasons: list[str]) -> None:
        """Counts one finding and keeps it if there is something wrong."""
        self.steps_by_who[finding.who] = self.steps_by_who.get(finding.who, 0) + 1
        for reason in reasons:
            self.allowances[reason] = self.allowances.get(reason, 0) + 1
        if method := METHOD.match(finding.step):
            counts = self.methods.setdefault(method[1], {"passed": 0, "failed": 0})
            counts["failed" if finding.problems else "passed"] += 1
        if finding.problems:
            self.failed.append(finding)
        else:
            self.passed += 1

    @property
    def is_clean(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.passed > 0 and not self.failed


def write_report(comparison: Comparison, file: Path | None, what: str) -> None:
    """Prints the summary, the distinct differences first, and writes the report if a file is given."""
    for findings in _by_step(comparison.failed):
        print(f"\n{findings[0].step}")
        print(f"  with {', '.join(finding.who for finding in findings)}")
        for problem in findings[0].problems:
            print(f"  {problem}")
    print(f"\nleft:  {comparison.left}\nright: {comparison.right}")
    for who, count in comparison.steps_by_who.items():
        print(f"{count:6} steps with the kit of {who}")
    for reason, count in comparison.allowances.items():
        print(f"{count:6} steps in which may differ: {reason}")
    print(f"{what}: {comparison.passed} passed, {len(comparison.failed)} failed")
    if file:
        report = asdict(comparison)
        # The table of methods in the documentation is made of this.
        report = {what: dict(sorted(report.pop("methods").items())), **report}
        file.write_text(json.dumps(report, indent=1) + "\n")


def _by_step(failed: list[Finding]) -> list[list[Finding]]:
    """Findings of the same step with the same problems, whoever's kit it was."""
    groups: dict[tuple, list[Finding]] = {}
    for finding in failed:
        groups.setdefault((finding.step, *finding.problems), []).append(finding)
    return list(groups.values())
