"""What a client that is not the official one could send: odd lines, odd requests, tokens that are none."""

import base64
import json

from steps import Step, action, do_command, line, line_with, payload


def steps() -> list[Step]:
    """All steps about lines, requests and tokens."""
    return [*_lines(), *_requests(), *_meta(), *_tokens(), *_command_table()]


def _lines():
    for text in (
        "",
        " ",
        "   ",
        "''",
        '""',
        "nosuch",
        "nosuch server",
        "no such",
        "Check_Status server",
        "PWD server",
        "training.check_status server",
        "sys.check_status server",
        "training.nosuch",
        "nosuch.check_status server",
        ".check_status server",
        "training. check_status server",
        "training.check_status.x server",
        "   check_status   server   ",
        "check_status\tserver",
        "check_status\nserver",
        "check_status server\n",
        "check_status\u00a0server",
        "check_status \u00e9t\u00e9",
        "check_status \u4e2d\u6587",
        "check_status \U0001f600",
        "pwd 'server",
        'pwd "server',
        "pwd ser'v'er",
        'pwd ser"v"er',
        "pwd se\\rver",
        'pwd "se\\rver"',
        "pwd 'se\\rver'",
        'pwd "server" # remark',
        "pwd server # remark",
        "pwd server#remark",
        "# pwd server",
        "#",
        "check_status server " + "x" * 4000,
        "x" * 4000,
        "_nosuch",
        "delete_workspace",
        "change_root /",
        "stop_cell",
        "quit",
        "bye",
        "?",
        "help",
    ):
        yield line(text)
        if len(text) < 100 and text.strip() and not text.startswith("_"):
            yield line(text, token=None)
    for text in ("", " ", "nosuch", "Check_Status server", "pwd 'server", "check_status é", "check_status #x"):
        if text.strip():
            yield do_command(text)


def _requests():
    proper = {"type": "command", "data": "check_status server"}
    for what, content in (
        ("no JSON", "check_status server"),
        ("an empty text", ""),
        ("a JSON list", "[]"),
        ("a JSON number", "7"),
        ("JSON null", "null"),
        ("an empty object", "{}"),
        ("no items", json.dumps({"data": []})),
        ("items that are no list", json.dumps({"data": {}})),
        ("an item that is no object", json.dumps({"data": ["check_status server"]})),
        ("an item without a type", json.dumps({"data": [{"data": "check_status server"}]})),
        ("an item of unknown type", json.dumps({"data": [{"type": "nosuch", "data": "x"}]})),
        ("a command without data", json.dumps({"data": [{"type": "command"}]})),
        ("a command that is no text", json.dumps({"data": [{"type": "command", "data": 7}]})),
        ("a command that is null", json.dumps({"data": [{"type": "command", "data": None}]})),
        ("only a token", json.dumps({"data": [{"type": "token", "data": "x"}]})),
        ("only a string", json.dumps({"data": [{"type": "string", "data": "check_status server"}]})),
        ("two commands", json.dumps({"data": [proper, {"type": "command", "data": "nosuch"}]})),
        ("an item of unknown type after the command", json.dumps({"data": [proper, {"type": "nosuch", "data": 1}]})),
        ("no time and no meta", json.dumps({"data": [proper]})),
        ("meta that is null", json.dumps({"data": [proper], "meta": None})),
        ("text after the JSON", json.dumps({"data": [proper]}) + "x"),
        ("a command that does not exist", json.dumps({"data": [{"type": "command", "data": "nosuch"}]})),
    ):
        yield payload(what, content)


def _meta():
    for meta in (
        {},
        {"cmd_timeout": 3.5},
        {"cmd_timeout": 4},
        {"cmd_timeout": "5"},
        {"cmd_timeout": "x"},
        {"cmd_timeout": None},
        {"nosuch": {"a": [1]}},
        {"status": "error", "info": "x"},
    ):
        yield line("check_status client site-1", meta=meta)
        yield line("pwd server", meta=meta)


def _tokens():
    for what, make in (
        ("no token", lambda player: None),
        ("an empty token", lambda player: ""),
        ("a token that is none", lambda player: "nonsense"),
        ("a colon as token", lambda player: ":"),
        ("base64 that says nothing as token", lambda player: "eHg=:eHg="),
        ("a uuid as token", lambda player: "6f2c1d8a-2f6c-4f0e-9d54-0a4f2f1d7c55"),
        ("its token without signature", lambda player: player.session.token.split(":")[0]),
        ("its token with an empty signature", lambda player: player.session.token.split(":")[0] + ":"),
        ("its token with a cut signature", lambda player: player.session.token[:-8]),
        ("its token with a changed signature", lambda player: _with_changed_signature(player.session.token)),
        ("its token twice", lambda player: f"{player.session.token}:{player.session.token}"),
        ("its token with another role", lambda player: _with_changed_claims(player.session.token, r="project_admin_")),
        ("its token with another user", lambda player: _with_changed_claims(player.session.token, n="somebody")),
        ("a token signed by itself", _signed_by_itself),
        ("the token of the site", lambda player: player.resolve("{token:site-1}")),
        ("a number as token", lambda player: 7),
        ("a list as token", lambda player: [player.session.token]),
    ):
        for text in ("check_status server", "_check_session", "list_sessions", "_logout", "nosuch"):
            yield line_with(what, text, lambda player, make=make: {"token": make(player)})


def _with_changed_signature(token: str) -> str:
    claims, signature = token.split(":")
    return f"{claims}:{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _with_changed_claims(token: str, **changes) -> str:
    claims, signature = token.split(":")
    changed = {**json.loads(base64.b64decode(claims)), **changes}
    return base64.b64encode(json.dumps(changed).encode()).decode() + ":" + signature


def _signed_by_itself(player) -> str:
    claims = player.session.token.split(":")[0]
    return f"{claims}:{player.session.identity.sign(claims, return_str=True)}"


def _command_table():
    yield line("_commands")
    for arguments in (
        "check_status",
        "pwd ls",
        "nosuch",
        "sys.pwd",
        "sys.nosuch",
        "list_sessions",
        "_logout",
        "submit_job nosuch shutdown",
        "''",
    ):
        yield line(f"_commands {arguments}")
    yield action("commands known to the client", lambda player: sorted(player.session.session.api.all_cmds))
    for text in ("check_status", "shutdown all", "abort_job x", "submit_job x", "nosuch", "sys.pwd"):
        yield action(
            f"check_command {text!r}", lambda player, text=text: str(player.session.session.api.check_command(text))
        )
