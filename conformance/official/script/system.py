"""Sites and the server managed through the methods of the official `Session`, by users of every role.

At the end of `steps` every site is connected and has registered anew. After `server_life` the federation is gone.
"""

from people import EVERYBODY, LEAD, MEMBER, ORG_ADMIN, OTHER_LEAD, OTHER_MEMBER, OTHER_ORG_ADMIN, OWNER, SITES
from steps import Step, action, by, raw

CONFIGURATIONS = ("DEBUG", "debug", "10", "50", "51", "concise", "full", "verbose", "msg_only", "FULL", "nonsense", "", 5, None)
NO_WAIT = {"wait": False}
# Starting the server again and its sites takes half a minute on a machine with nothing else to do.
LONG_WAIT = 170.0


def steps() -> list[Step]:
    """All steps, in order, but for those that end the federation."""
    return [
        *_bad_arguments(),
        *_timeouts(),
        *_log_configuration(),
        *_refusals(),
        *_disabling(),
        *_removing(),
        *_restarting(),
    ]


def server_life() -> list[Step]:
    """Restart and shutdown of the server; nothing can follow."""
    return [*_server_restarts(), *_shutdowns()]


def _bad_arguments():
    """What the client refuses itself."""
    for name in ("restart", "shutdown"):
        for target in ("", "SERVER", "site-1", None):
            yield by(OWNER, name, target)
        for timeout in (0, -1, "5", None, True):
            yield by(OWNER, name, "client", ["nosite"], timeout=timeout)
        yield by(OWNER, name, "client", ["nosite"], wait=False, timeout=0)
        for names in ("site-1", [5], ["si te"], ("site-1",)):
            yield by(OWNER, name, "client", names)
    for name in ("remove_client", "disable_client", "enable_client"):
        for client in ("", None, 5, ["site-1"]):
            yield by(OWNER, name, client)
        yield by(OWNER, name, "no such site")
        yield raw(OWNER, name.replace("remove_client", "remove_client nosite"))
    for config in CONFIGURATIONS:
        yield by(OWNER, "configure_site_log", config, "server")
    for name in ("check_status", "report_resources", "report_version"):
        yield by(OWNER, name, "client", "site-1")
        yield by(OWNER, name, "client", [5])


def _timeouts():
    for value in (0, -1, "5", None, True, 7.5, 8):
        yield by(OWNER, "set_timeout", value)
        yield by(OWNER, "check_status", "client", ["site-3"])
        yield by(OWNER, "report_resources", "all")
    yield by(OWNER, "unset_timeout")
    yield by(OWNER, "check_status", "client", ["site-3"])
    # As the sessions of a comparison have it: half of what a server gives a site is little on a busy machine.
    yield by(OWNER, "set_timeout", 15.0)


def _log_configuration():
    for target in ("server", "client", "all", "site-1", "", None, 5):
        yield by(OWNER, "configure_site_log", "INFO", target)
    for who in EVERYBODY[1:]:
        for target in ("server", "client", "all"):
            yield by(who, "configure_site_log", "INFO", target)
    yield raw(OTHER_LEAD, "configure_site_log client site-3 INFO")
    yield raw(OTHER_LEAD, "configure_site_log client site-1 site-3 INFO")
    yield by(OWNER, "configure_site_log", "reload")


def _refusals():
    """Those who may not, and what nobody may: each of these changes nothing."""
    for who in (MEMBER, OTHER_LEAD, OTHER_ORG_ADMIN, OTHER_MEMBER):
        for name in ("restart", "shutdown"):
            yield by(who, name, "server", **NO_WAIT)
            yield by(who, name, "all")
            yield by(who, name, "client", ["site-1"], **NO_WAIT)
        for name in ("remove_client", "disable_client", "enable_client"):
            yield by(who, name, "site-3")
        yield by(who, "shutdown_system")
    for name in ("restart", "shutdown"):
        yield by(OWNER, name, "client", ["nosite"])
        yield by(OWNER, name, "client", ["site-1", "nosite"])
    # Sites are connected.
    for who in (OWNER, ORG_ADMIN, LEAD):
        yield by(who, "shutdown", "server")
        yield by(who, "shutdown", "server", **NO_WAIT)


def _disabling():
    yield by(LEAD, "disable_client", "site-3")
    yield _connected("site-1", "site-2")
    yield from _about_the_disabled()
    yield by(OWNER, "disable_client", "site-3")
    yield by(ORG_ADMIN, "disable_client", "nosite")
    yield by(OWNER, "disable_client", "site-2")
    yield _connected("site-1")
    yield by(OWNER, "check_status", "all")
    # One after the other: they are listed in the order in which they come back.
    yield raw(OWNER, "enable_client site-2 nosite")
    yield _connected("site-1", "site-2")
    yield raw(OWNER, "enable_client site-3 site-3")
    yield _connected(*SITES)
    yield by(ORG_ADMIN, "enable_client", "site-3")
    yield by(LEAD, "enable_client", "nosite")
    yield raw(OWNER, "disable_client other nosite other")
    yield raw(OWNER, "enable_client other nosite")
    yield by(OWNER, "get_connected_client_list")
    # Let in again by its heartbeat, a site is of no organisation until it is started anew.
    for site_org in ("acme:site-3", "nvidia:site-2", "nvidia:site-1"):
        yield by(OWNER, "register_study", "again", site_orgs=[site_org])
    yield by(OWNER, "remove_study", "again")


def _about_the_disabled():
    yield by(OWNER, "get_system_info")
    yield by(OWNER, "get_client_job_status")
    yield by(OWNER, "get_client_job_status", ["site-3"])
    for name in ("check_status", "report_resources", "report_version"):
        yield by(OWNER, name, "client", ["site-3"])
        yield by(OWNER, name, "client", ["site-1", "site-3"])
        yield by(OWNER, name, "all")
    yield by(OWNER, "get_working_directory", "site-3")
    yield by(OWNER, "get_client_env", ["site-3"])
    yield by(OWNER, "restart", "client", ["site-3"], **NO_WAIT)
    yield by(OWNER, "remove_client", "site-3")
    yield by(OWNER, "register_study", "again", site_orgs=["acme:site-3"])


def _removing():
    yield by(OWNER, "remove_client", "nosite")
    yield by(LEAD, "remove_client", "site-2")
    # Its next heartbeat brings it back.
    yield _connected(*SITES)
    yield by(OWNER, "check_status", "server")
    yield by(OWNER, "register_study", "again", site_orgs=["nvidia:site-2"])


def _restarting():
    yield _restart(OTHER_LEAD, ["site-3", "site-1"], "site-3", wait=False)
    yield _restart(OWNER, ["site-1"], "site-1")
    yield by(OWNER, "register_study", "again", site_orgs=["acme:site-3"])
    yield by(OWNER, "remove_study", "again")
    yield _restart(ORG_ADMIN, ["site-2"], "site-2", wait=False)
    yield _restart(OWNER, None, *SITES, timeout=LONG_WAIT)
    # Started at once, they came back in any order.
    yield action("one site after the other registers", lambda player: player.sites.make_ready())
    yield by(OWNER, "check_status", "all")
    yield by(OWNER, "register_study", "again", site_orgs=["acme:site-3", "nvidia:site-1,site-2"])
    yield by(OWNER, "remove_study", "again")


def _server_restarts():
    yield by(OWNER, "disable_client", "site-2")
    yield _connected("site-1", "site-3")
    yield by(MEMBER, "check_status", "server")
    yield _restart_of_server(OWNER, "server", "site-1", "site-3", wait=False)
    yield _goes_on(MEMBER)
    # The disabled site stays out.
    yield _statuses()
    yield by(OWNER, "enable_client", "site-2")
    yield _connected(*SITES)
    yield _restart_of_server(OWNER, "all", *SITES, timeout=LONG_WAIT)
    yield _statuses()


def _shutdowns():
    yield by(OTHER_LEAD, "shutdown", "client", ["site-3", "site-1"], wait=False)
    yield _connected("site-1", "site-2")
    yield _statuses()
    yield _shutdown_of_site(ORG_ADMIN, "site-2", timeout=LONG_WAIT)
    yield by(OWNER, "check_status", "all")
    yield by(OWNER, "shutdown", "server")
    yield by(OWNER, "shutdown_system")
    yield action("wait until the server is gone", lambda player: player.until_gone())


def _connected(*names: str) -> Step:
    return action(f"wait until {', '.join(names)} are connected", lambda player: player.sites.connected(*names))


def _restart(who: str, targets: list[str] | None, *names: str, **options) -> Step:
    """Restarts sites, and waits until those of these names have registered anew."""

    def act(player):
        player.sites.remember()
        outcome = player.session_of(who).session.restart("client", targets, **options)
        # It polls until each has shown itself: how often is chance, and so is whether it begins with a question.
        del player.session.exchanges[:]
        return [outcome, player.sites.restarted(*names)]

    shown = "".join(f", {name}={value!r}" for name, value in options.items())
    return action(f"Session.restart('client', {targets!r}{shown}) as {who}", act)


def _shutdown_of_site(who: str, name: str, **options) -> Step:
    def act(player):
        outcome = player.session_of(who).session.shutdown("client", [name], **options)
        # How often it asks until the site is gone is chance.
        del player.session.exchanges[1:]
        return outcome

    return action(f"Session.shutdown('client', [{name!r}]) as {who}", act)


def _statuses() -> Step:
    """Like `check_status`, with the sites by name: after a restart of them all they come back in any order."""

    def act(player):
        status = player.session.session.check_status("all")
        player.session.exchanges.clear()
        by_name = {name: sorted(status[name], key=lambda site: site["client_name"]) for name in ("clients", "client_status")}
        return status | by_name

    return action("Session.check_status('all'), sites by name", act)


def _goes_on(who: str) -> Step:
    """A session that was open through a restart is the same session after it, without a new login."""

    def act(player):
        session = player.session_of(who)
        server = player.until(lambda: session.session.get_system_info().server_info.status, lambda status: True)
        player.session.exchanges.clear()
        session.line("list_sessions")
        rows = player.session.exchanges.pop()["reply"]["data"][0]["rows"]
        return [server, [row[0] for row in rows if row[3] in session.session_ids]]

    return action(f"the session of {who} goes on", act)


def _restart_of_server(who: str, target: str, *names: str, **options) -> Step:
    def act(player):
        player.sites.remember()
        # A session of its own: one that waits is closed.
        session = player.new_session(who)
        outcome = session.session.restart(target, **options)
        session.close()
        if isinstance(outcome, dict) and isinstance(sites := outcome.get("client_status"), dict):
            # They stand in the order in which they registered last, and those that came back together did in any order.
            outcome = outcome | {"client_status": dict(sorted(sites.items()))}
        return [outcome, player.sites.restarted(*names)]

    shown = "".join(f", {name}={value!r}" for name, value in options.items())
    return action(f"Session.restart({target!r}{shown}) as {who}", act)
