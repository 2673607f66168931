"""Says whether two values are the same but for what no two federations share.

Ids, times, ports and paths differ between any two federations, yet they are no noise: the session id that the
login told is the one `list_sessions` shows. So such values are not blanked. Each stands for its partner on the
other side: `References` keeps the pairs, one to one, and a value that later meets another partner is a difference.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime

# What is recognised inside any text, in this order. A group name is the kind of the value.
VOLATILE = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b)"
    r"|(?P<iso>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:\+00:00)?\b)"
    r"|(?P<seconds>\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\+00:00|Z)?(?![.,\d]))"
    r"|(?P<micros>\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\b)"
    r"|(?P<asctime>\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" [ \d]\d \d\d:\d\d:\d\d \d{4}\b)"
    # How long a job ran; Python leaves out a fraction of zero.
    r"|(?P<duration>(?<![\d:-])\d+:\d\d:\d\d(?:\.\d{6})?(?![\d:.,]))"
)

# Kinds whose value names something: the same thing must have the same value wherever it appears. The others
# are moments, of which two may fall into one second on one side and into two on the other.
NAMING_KINDS = {"uuid", "server_start_time"}

# Members that hold a moment as a number of seconds since 1970, and the kind of that moment.
MOMENT_MEMBERS = {
    "server_start_time": "server_start_time",
    "start_time": "server_start_time",
    "client_last_conn_time": "last_connect_time",
    "last_connect_time": "last_connect_time",
    "submit_time": "submit_time",
    "last_schedule_time": "last_schedule_time",
}

# 2020-01-01: no federation that is compared here began before it. Catches a zero, or milliseconds.
EARLIEST_MOMENT = 1_577_836_800.0
LATEST_MOMENT = 4_102_444_800.0


@dataclass
class References:
    """Which value on the left stands for which on the right, per kind."""

    to_right: dict = field(default_factory=dict)
    to_left: dict = field(default_factory=dict)

    def pair(self, kind: str, left, right) -> str | None:
        """Notes that the values stand for each other; tells what speaks against it."""
        known_right = self.to_right.setdefault((kind, left), right)
        known_left = self.to_left.setdefault((kind, right), left)
        if known_right != right:
            return f"{kind} {left!r} stood for {known_right!r} before, now for {right!r}"
        if known_left != left:
            return f"{kind} {right!r} stood for {known_left!r} before, now for {left!r}"
        return None


def differences(left, right, references: References, allowance=None, path: str = "") -> list[str]:
    """All places where the values differ, each as a line of text beginning with its path.

    Where two texts or numbers differ, `allowance(path, left, right)` is asked: it returns None if it has no say there, else
    the list of what is wrong with them all the same.
    """
    if type(left) is not type(right):
        return [f"{path}: {_short(left)} is of another type than {_short(right)}"]
    if isinstance(left, dict):
        return _of_objects(left, right, references, allowance, path)
    if isinstance(left, list):
        return _of_lists(left, right, references, allowance, path)
    if isinstance(left, str):
        problem = _of_texts(left, right, references)
        verdict = allowance(path, left, right) if problem and allowance else None
        if verdict is not None:
            return [f"{path}: {text}" for text in verdict]
    elif isinstance(left, float) and (kind := MOMENT_MEMBERS.get(path.rsplit(".", 1)[-1])):
        problem = _of_moments(left, right, references, kind)
    else:
        problem = None if left == right else f"{_short(left)} <> {_short(right)}"
        verdict = allowance(path, left, right) if problem and allowance else None
        if verdict is not None:
            return [f"{path}: {text}" for text in verdict]
    return [f"{path}: {problem}"] if problem else []


def _of_objects(left, right, references, allowance, path):
    found = []
    # The order counts: the JSON text is built from it, and printed tables follow it.
    if list(left) != list(right):
        found.append(f"{path}: members {list(left)} <> {list(right)}")
    for name in left:
        if name in right:
            found += differences(left[name], right[name], references, allowance, f"{path}.{name}" if path else name)
    return found


def _of_lists(left, right, references, allowance, path):
    found = []
    if len(left) != len(right):
        found.append(f"{path}: {len(left)} elements <> {len(right)} elements: {_short(left)} <> {_short(right)}")
    for index, (one, other) in enumerate(zip(left, right)):
        found += differences(one, other, references, allowance, f"{path}[{index}]")
    return found


def _of_moments(left, right, references, kind):
    for moment in (left, right):
        if not math.isfinite(moment) or not EARLIEST_MOMENT < moment < LATEST_MOMENT:
            return f"{moment!r} is not a moment in seconds since 1970"
    return references.pair(kind, left, right) if kind in NAMING_KINDS else None


def _of_texts(left, right, references):
    left_parts, right_parts = _split(left), _split(right)
    shape_left = [text if kind == "literal" else kind for kind, text in left_parts]
    shape_right = [text if kind == "literal" else kind for kind, text in right_parts]
    if shape_left != shape_right:
        return f"{_short(left)} <> {_short(right)}"
    for (kind, one), (_, other) in zip(left_parts, right_parts):
        if kind in NAMING_KINDS:
            problem = references.pair(kind, one, other)
            if problem:
                return problem
        elif kind != "literal" and not (_is_moment(kind, one) and _is_moment(kind, other)):
            return f"{_short(one)} or {_short(other)} is not a moment"
    return None


def _split(text):
    parts, position = [], 0
    for match in VOLATILE.finditer(text):
        if match.start() > position:
            parts.append(("literal", text[position : match.start()]))
        parts.append((match.lastgroup, match.group()))
        position = match.end()
    if position < len(text) or not parts:
        parts.append(("literal", text[position:]))
    return parts


def _is_moment(kind, text):
    try:
        if kind == "duration":
            return True
        if kind == "asctime":
            datetime.strptime(text, "%a %b %d %H:%M:%S %Y")
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _short(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
