"""Login over an open connection, sessions, logout and what a token is good for after it.

These steps come last in a script: they end the session.
"""

import rules
from steps import Step, action, line, line_with

# Who else is logged in is another test's business; the moments are each side's own.
IDLE = rules.each_matches(
    r"\d+\.\d+(e-\d+)?", "how long a session has been idle", r"reply\.data\[0\]\.rows\[[1-9]\d*\]\[6\]"
)

STUDIES = ("default", "nost", "Bad Name", "", "x" * 64, "-a", "a\n", 5, ["default"], True)


def steps() -> list[Step]:
    """All steps about sessions, in order."""
    return [*_logins(), *_list(), *_settings(), *_logout()]


def _logins():
    yield action("the claims of its token", lambda player: player.session.described(player.session.token))
    yield line_with("its own certificate", "_cert_login {user}", _headers())
    yield action("log in and out by hand", _log_in_and_out)
    for study in STUDIES:
        yield line_with(f"study {study!r}", "_cert_login {user}", _headers(study=study))
    yield line_with("no study", "_cert_login {user}", _headers(study=None))
    yield line_with("no headers", "_cert_login {user}", lambda player: {"headers": {}})
    yield line_with("no certificate", "_cert_login {user}", _headers(cert=None))
    yield line_with("no signature", "_cert_login {user}", _headers(signature=None))
    yield line_with("no user name", "_cert_login {user}", _headers(user_name=None))
    yield line_with("another user name in the headers", "_cert_login {user}", _headers(user_name="somebody@else.org"))
    yield line_with("a certificate that is none", "_cert_login {user}", _headers(cert=b"nonsense"))
    yield line_with("a certificate that is a text", "_cert_login {user}", _headers(cert="nonsense"))
    yield line_with("a signature that is none", "_cert_login {user}", _headers(signature=b"nonsense"))
    yield line_with("a signature that is a text", "_cert_login {user}", _headers(signature="nonsense"))
    yield line_with(
        "a signature of something else",
        "_cert_login {user}",
        lambda player: {
            "headers": player.session.login_headers(signature=player.session.identity.sign_common_name(nonce="x"))
        },
    )
    for text in ("_cert_login", "_cert_login {user} extra", "_cert_login somebody@else.org", "_CERT_LOGIN {user}"):
        yield line_with("its own certificate", text, _headers())
    yield line_with("its own certificate", "_cert_login '{user}'", _headers())
    yield action("somebody else's login over this connection", _log_in_as_somebody_else)
    for text in ("check_status server", "pwd server", "list_jobs", "_check_session", "report_version server"):
        yield line_with("somebody else's token", text, lambda player: {"token": player.other_token})
    yield line_with("somebody else's token", "_logout", lambda player: {"token": player.other_token})


def _headers(**changes):
    return lambda player: {"headers": player.session.login_headers(**changes), "token": None}


def _log_in_and_out(player) -> None:
    player.session.line(player.resolve("_cert_login {user}"), token=None, headers=player.session.login_headers())
    token = player.session.last_token
    for text in ("_check_session", "check_status server", "_logout", "_check_session", "check_status server", "_logout"):
        player.session.line(text, token=token)


def _log_in_as_somebody_else(player) -> None:
    kit = player.somebody_else
    player.session.line(f"_cert_login {kit.user}", token=None, headers=player.session.login_headers(kit))
    player.other_token = player.session.last_token


def _list():
    yield line("list_sessions", IDLE, own_sessions_only=True)
    yield line("list_sessions extra", IDLE, own_sessions_only=True)
    yield line("sess.list_sessions", IDLE, own_sessions_only=True)
    yield line("_check_session")
    yield line("_check_session extra")


def _settings():
    yield action("Session.set_timeout()", lambda player: player.session.session.set_timeout(7.5))
    yield action("a command with that timeout", lambda player: player.session.session.check_status("client"))
    yield action("Session.unset_timeout()", lambda player: player.session.session.unset_timeout())
    yield action("a command without a timeout", lambda player: player.session.session.check_status("server"))
    yield action("Session.get_available_apps_to_upload()", lambda player: player.session.session.get_available_apps_to_upload())


def _logout():
    yield line("_logout", token=None)
    yield line("_logout nonsense", token="nonsense")
    yield line("_logout")
    yield line("_check_session")
    yield line("list_sessions", IDLE, own_sessions_only=True)
    yield line("_check_session")
    yield line("_logout extra")
    yield line("_check_session")
    yield line("check_status server")
    yield line("_check_session")
    yield action("Session.close()", lambda player: player.session.close())
    yield action("Session.close() again", lambda player: player.session.close())
    yield action("a command after close", lambda player: player.session.session.check_status("server"))
    yield action("do_command after close", lambda player: player.session.session.do_command("check_status server"))
