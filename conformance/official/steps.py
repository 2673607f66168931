"""What is done on both sides: a step is one thing said to the server and how its outcome is compared."""

from collections.abc import Callable
from dataclasses import dataclass

import rules
from rules import Rules


@dataclass(frozen=True)
class Step:
    """One step of a script."""

    name: str
    act: Callable
    rules: Rules = rules.ALWAYS
    own_sessions_only: bool = False


def line(text: str, *allowed: Rules, own_sessions_only: bool = False, **options) -> Step:
    """A raw command line; `{token:SITE}` in it becomes the token by which the server knows that site."""
    extra = "".join(f" [{name}={value}]" for name, value in options.items())
    return Step(
        f"line {text!r}{extra}",
        lambda player: player.session.line(player.resolve(text), **options),
        _with(allowed),
        own_sessions_only,
    )


def line_with(what: str, text: str, options: Callable, *allowed: Rules) -> Step:
    """A raw command line whose token, meta or headers are made from the session at that time."""
    return Step(
        f"line {text!r} with {what}",
        lambda player: player.session.line(player.resolve(text), **options(player)),
        _with(allowed),
    )


def payload(what: str, content) -> Step:
    """A request whose payload is no proper command."""
    return Step(f"payload: {what}", lambda player: player.session.payload(content))


def method(name: str, *arguments, allowed: Rules | None = None, **options) -> Step:
    """A method of the official `Session`, with the reply it got and what it made of it."""
    shown = ", ".join([repr(value) for value in arguments] + [f"{key}={value!r}" for key, value in options.items()])
    return Step(
        f"Session.{name}({shown})",
        lambda player: getattr(player.session.session, name)(*arguments, **options),
        _with([allowed] if allowed else []),
    )


def by(
    who: str, name: str, *arguments, study: str = "default", makes: str | None = None, value_only: bool = False, **options
) -> Step:
    """A method of the official `Session` of the named user, in the session that the player keeps for him and the study.

    `{job:NAME}` in an argument becomes the id of that job; `makes` is the name under which the result is such an id;
    `value_only` leaves out the replies, where what they tell beside the value is chance.
    """
    shown = ", ".join([repr(value) for value in arguments] + [f"{key}={value!r}" for key, value in options.items()])

    def act(player):
        filled = [player.resolve(value) if isinstance(value, str) else value for value in arguments]
        result = getattr(player.session_of(who, study).session, name)(*filled, **options)
        if makes:
            player.jobs[makes] = result
        if value_only:
            player.session.exchanges.clear()
        return result

    return Step(f"Session.{name}({shown}) {_as(who, study)}", act)


def raw(who: str, text: str, *allowed: Rules, study: str = "default") -> Step:
    """A raw command line of the named user."""
    return Step(
        f"line {text!r} {_as(who, study)}",
        lambda player: player.session_of(who, study).line(player.resolve(text)),
        _with(allowed),
    )


def _as(who: str, study: str) -> str:
    return f"as {who}" if study == "default" else f"as {who} in study {study}"


def do_command(text: str, *allowed: Rules) -> Step:
    """A line through `Session.do_command`, which looks it up in the command table first."""
    return Step(f"do_command {text!r}", lambda player: player.session.session.do_command(text), _with(allowed))


def action(name: str, act: Callable, *allowed: Rules) -> Step:
    """Anything else; what it returns is compared."""
    return Step(name, act, _with(allowed))


def _with(allowed) -> Rules:
    together = rules.ALWAYS
    for one in allowed:
        together = together + one
    return together
