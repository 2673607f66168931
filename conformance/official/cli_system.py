"""The `nvflare system` commands that change something, as processes, by users of every role.

What they change is changed back: at their end all sites are connected, each having registered anew. The exception are
the lines of `server_life`, after which the federation is gone.
"""

from dataclasses import replace

import rules
from cli_lines import CONNECTED, RESTARTED, CliLine, wait
from people import EVERYBODY, LEAD, MEMBER, ORG_ADMIN, OTHER_LEAD, OTHER_ORG_ADMIN, OWNER, SITES

JSON = "--format json"

# Exit code and output tell how it ended; of the errors only that they begin as they should.
WHILE_AWAY = rules.each_matches(
    r"(Connecting to FLARE \.\.\.\n)+.*",
    "how often is looked while the server is away, and what is logged of connections that break, is chance",
    r"errors",
)


def lines() -> list[CliLine]:
    """All lines, in order, but for those that end the federation."""
    # The first change nothing that can be seen: what they ask for is refused, or it is what is logged.
    first = (*_bad_arguments(), *_looking(), *_log_config(), *_refusals())
    return [*[replace(line, only_looks=True) for line in first], *_disabling(), *_restarting()]


def server_life() -> list[CliLine]:
    """Restart and shutdown of the server; nothing can follow."""
    return [*_server_restarts(), *_shutdowns()]


def _of(who: str, *texts: str, text_format: bool = False):
    for text in texts:
        looks = text.startswith(("status", "version", "resources"))
        yield CliLine(f"system {text} {JSON}", who=who, only_looks=looks)
        if text_format:
            yield CliLine(f"system {text}", who=who, only_looks=looks)


def _bad_arguments():
    yield from _of(OWNER, "", "nosuch", "remove-client site-1", "status all", "resources site-1", "version --site")
    for command in ("shutdown", "restart"):
        yield from _of(OWNER, command, f"{command} nosuch --force", f"{command} client --timeout 0 --force")
        yield from _of(OWNER, f"{command} server", f"{command} client site-1", text_format=True)
        yield from _of(OWNER, f"{command} server site-1 --force", f"{command} all site-1 --force")
    for command in ("disable-client", "enable-client"):
        yield from _of(OWNER, command, f"{command} site-1", f"{command} one two --force", f"{command} --force")
    yield from _of(OWNER, "status --schema", "shutdown --schema")


def _looking():
    yield from _of(OWNER, "status server", "status client", "resources server", "resources client site-3", text_format=True)
    yield from _of(OWNER, "version --site server", "version --site site-1", "version --site nosite", text_format=True)
    yield from _of(OTHER_LEAD, "resources client site-3 site-1", "status client nosite site-1")


def _log_config():
    yield from _of(OWNER, "log-config", "log-config bogus", "log-config INFO --site site-1", text_format=True)
    for site in ("server", "client", "all", "nosite"):
        yield from _of(OWNER, f"log-config INFO --site {site}")
    for who in EVERYBODY[1:]:
        yield from _of(who, "log-config concise", "log-config concise --site client")
    yield from _of(OWNER, "log-config reload", text_format=True)


def _refusals():
    """Those who may not, and what nobody may: each of these changes nothing."""
    for who in (MEMBER, OTHER_LEAD, OTHER_ORG_ADMIN):
        for command in ("shutdown", "restart"):
            yield from _of(who, f"{command} server --force", f"{command} all --force --no-wait")
            yield from _of(who, f"{command} client site-1 --force --no-wait")
        yield from _of(who, "disable-client site-3 --force", "enable-client site-3 --force")
    for command in ("shutdown", "restart"):
        yield from _of(OWNER, f"{command} client nosite --force", f"{command} client si*te --force", text_format=True)
    # Sites are connected.
    for who in (OWNER, ORG_ADMIN, LEAD):
        yield from _of(who, "shutdown server --force")
    yield from _of(OWNER, "shutdown server --force --no-wait", text_format=True)


def _disabling():
    yield from _of(LEAD, "disable-client site-3 --force")
    yield wait(CONNECTED, "site-1", "site-2")
    yield from _of(OWNER, "status", "status client site-3", "resources", "version", text_format=True)
    yield from _of(OWNER, "version --site site-3", "restart client site-3 --force --no-wait")
    yield from _of(OWNER, "disable-client site-3 --force", "disable-client nosite --force", text_format=True)
    yield from _of(ORG_ADMIN, "enable-client site-3 --force")
    yield wait(CONNECTED, *SITES)
    yield from _of(OWNER, "enable-client site-3 --force", "enable-client nosite --force", text_format=True)
    yield CliLine("system status", as_program=True)
    yield CliLine(f"system status {JSON}", as_program=True)
    # Let in again by its heartbeat, it is of no organisation, until it is started anew.
    yield CliLine(f"study register again --site-org acme:site-3 {JSON}")


def _restarting():
    yield from _of(OTHER_LEAD, "restart client site-3 site-1 --force --no-wait")
    yield wait(RESTARTED, "site-3")
    yield CliLine(f"study register again --site-org acme:site-3 {JSON}")
    yield CliLine(f"study remove again {JSON}")
    yield from _of(OWNER, "restart client site-1 --force")
    yield wait(RESTARTED, "site-1")
    yield CliLine("system restart client site-2 --force", who=ORG_ADMIN)
    yield wait(RESTARTED, "site-2")
    yield from _of(OWNER, "restart client --force")
    yield wait(RESTARTED, *SITES)


def _server_restarts():
    yield from _of(OWNER, "disable-client site-2 --force")
    yield wait(CONNECTED, "site-1", "site-3")
    yield CliLine(f"system restart server --force --timeout 120 {JSON}", WHILE_AWAY, sites_by_name=True)
    yield wait(RESTARTED, "site-1", "site-3")
    # It stays out.
    yield CliLine(f"system status {JSON}", sites_by_name=True)
    yield from _of(OWNER, "enable-client site-2 --force")
    yield wait(CONNECTED, *SITES)
    yield CliLine(f"system restart all --force --timeout 120 {JSON}", WHILE_AWAY, sites_by_name=True)
    yield wait(RESTARTED, *SITES)
    yield CliLine(f"system status {JSON}", sites_by_name=True)


def _shutdowns():
    yield from _of(OTHER_LEAD, "shutdown client site-3 --force --timeout 120")
    yield wait(CONNECTED, "site-1", "site-2")
    yield CliLine(f"system status {JSON}", sites_by_name=True)
    yield from _of(OWNER, "shutdown server --force", "status client site-3")
    yield CliLine(f"system shutdown all --force --timeout 120 {JSON}", WHILE_AWAY, sites_by_name=True)
    yield from _of(OWNER, "status --connect-timeout 2", text_format=True)
    yield CliLine(f"study list --connect-timeout 2 {JSON}")
    yield CliLine(f"job list --connect-timeout 2 {JSON}")
