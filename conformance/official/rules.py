"""Rules for what may legitimately differ between two federations, used where a line needs one.

Without a rule a reply must be the same on both sides, but for the references of `references.py`. A rule opens
one place of the reply (a pattern on its path) and says what is still required there. Every rule carries its reason.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What is required of two texts that differ."""

    path: re.Pattern
    reason: str
    check: Callable[[str, str], list[str]]


class Rules:
    """Several rules; callable as the `allowance` of `references.differences`."""

    def __init__(self, *rules: Rule):
        self.rules = rules

    def __call__(self, path, left, right):
        for rule in self.rules:
            if rule.path.fullmatch(path):
                return rule.check(left, right)
        return None

    def __add__(self, other: "Rules") -> "Rules":
        return Rules(*self.rules, *other.rules)

    @property
    def reasons(self) -> list[str]:
        """Why each of these rules exists."""
        return [rule.reason for rule in self.rules]


def at(path: str, reason: str, check) -> Rules:
    """The rule that `check` decides about the place `path` (a regular expression)."""
    return Rules(Rule(re.compile(path), reason, check))


# Where a command's free text arrives: in the string items of the raw reply, and as the value of a method.
TEXT = r"(reply\.data\[\d+\]\.data|value)"


def each_line(pattern: str, reason: str, path: str = TEXT, same_count: bool = False) -> Rules:
    """Both texts consist of lines of this form, at least one, and equally many if so told."""
    line = re.compile(pattern)

    def check(left, right):
        wrong = []
        for side, text in (("left", left), ("right", right)):
            if not text:
                wrong.append(f"{side} is empty")
            wrong += [f"{side} has an unexpected line {one!r}" for one in text.splitlines() if not line.fullmatch(one)]
        if not wrong and same_count and len(left.splitlines()) != len(right.splitlines()):
            wrong.append(f"{len(left.splitlines())} lines <> {len(right.splitlines())} lines")
        return wrong

    return at(path, reason, check)


def each_matches(pattern: str, reason: str, path: str) -> Rules:
    """Both values are texts of this form."""
    form = re.compile(pattern, re.DOTALL)

    def check(left, right):
        return [
            f"{side} is {value!r}, which is not of the form {pattern}"
            for side, value in (("left", left), ("right", right))
            if not form.fullmatch(value)
        ]

    return at(path, reason, check)


def same_after(change: Callable[[str], str], reason: str, path: str = TEXT) -> Rules:
    """Both texts are the same once `change` has been applied to each."""

    def check(left, right):
        one, other = change(left), change(right)
        return [] if one == other else [f"{one!r} <> {other!r}"]

    return at(path, reason, check)


def number(reason: str, path: str) -> Rules:
    """Both values are numbers, zero or more."""

    def check(left, right):
        return [
            f"{side} is {value!r}, which is no number"
            for side, value in (("left", left), ("right", right))
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0
        ]

    return at(path, reason, check)


# `datetime.now()` leaves the fraction out in the one microsecond of a second in which it is zero.
ALWAYS = each_matches(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", "the moment at which each side wrote its reply", r"reply\.time"
)

LOG_LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - [\w.$]+ - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - .*"
