"""What is said to both federations, in order."""

from script import jobs, protocol, sessions, shell, targets
from steps import Step


def steps_of_every_kit() -> list[Step]:
    """The script that every admin's kit goes through; the last steps end the session."""
    steps = [*targets.steps(), *shell.steps(), *jobs.steps(), *protocol.steps(), *sessions.steps()]
    return [_numbered(step, number) for number, step in enumerate(steps)]


def _numbered(step: Step, number: int) -> Step:
    # Some steps come twice on purpose, before and after another; the number keeps them apart in reports.
    return Step(f"{number:03} {step.name}", step.act, step.rules, step.own_sessions_only)
