"""What the sites of a federation do meanwhile, seen through a session that is compared with nothing.

A step that disables or restarts a site is over before the site is: what is waited for here is that it has happened.
"""

import time

try:
    from nvflare.fuel.flare_api.api_spec import CommandError
except ImportError:  # Before 2.8 there are no studies, whose commands alone raise it.
    CommandError = None

from federation import Federation
from official_session import OfficialSession
from people import OWNER, SITES, SITES_BY_ORGANIZATION

# A restarted site takes a quarter of a minute, longer on a busy machine; one that is let in again up to ten seconds.
SETTLING_LIMIT = 180.0
POLL = 0.5


class Sites:
    """The sites as the owner's session sees them."""

    def __init__(self, federation: Federation):
        self._federation = federation
        self._session: OfficialSession | None = None
        self._before: dict[str, str] = {}

    def make_ready(self) -> list[str]:
        """Brings the federation to where a comparison begins, whatever was done to it before.

        Every site is connected, in the order of their names, and its organisation known; and there is a registry of
        studies, which has none.
        """
        self._connect()
        self.connected(*SITES)
        self._put_in_order()
        if CommandError is None:
            return list(self._tokens())
        try:
            self._register_and_remove()
        except CommandError:
            # A site that was let in again by its heartbeat is of no organisation until it is started anew.
            self._restart_one_by_one(SITES)
            self._register_and_remove()
        return list(self._tokens())

    def _put_in_order(self) -> None:
        """Sites are listed in the order in which they registered: those out of order are started anew."""
        order = list(self._tokens())
        for first_wrong in range(len(SITES), -1, -1):
            if [site for site in order if site in SITES[:first_wrong]] == list(SITES[:first_wrong]):
                self._restart_one_by_one(SITES[first_wrong:] if order != list(SITES) else ())
                return

    def _restart_one_by_one(self, names) -> None:
        for name in names:
            self.remember()
            self._session.session.restart("client", [name], wait=False)
            self.restarted(name)

    def _register_and_remove(self) -> None:
        site_orgs = [f"{organization}:{','.join(names)}" for organization, names in SITES_BY_ORGANIZATION.items()]
        self._session.session.register_study("beginning", site_orgs=site_orgs)
        self._session.session.remove_study("beginning")

    def remember(self) -> None:
        """Keeps who is there now; `restarted` is about those."""
        self._before = self._tokens()

    def connected(self, *wanted: str) -> list[str]:
        """Waits until exactly these sites are registered and answer."""
        return self._until(lambda: self._answering() if set(self._tokens()) == set(wanted) else [], list(wanted))

    def restarted(self, *names: str) -> list[str]:
        """Waits until each of these sites has registered anew since `remember`, and answers."""

        def done():
            tokens = self._tokens()
            anew = {name for name in names if name in tokens and tokens[name] != self._before.get(name)}
            return [name for name in self._answering() if name in anew]

        return self._until(done, list(names))

    def close(self) -> None:
        """Ends the session."""
        if self._session:
            self._session.close()
            self._session = None

    def _until(self, look, wanted: list[str]) -> list[str]:
        ends = time.monotonic() + SETTLING_LIMIT
        while True:
            try:
                seen = sorted(look())
            except Exception as error:
                # Also while the server itself is away.
                seen = [f"{type(error).__name__}: {error}"]
            if seen == sorted(wanted) or time.monotonic() > ends:
                return seen
            time.sleep(POLL)

    def _connect(self) -> None:
        if not self._session:
            self._session = OfficialSession(self._federation, self._federation.kit(OWNER))

    def _tokens(self) -> dict[str, str]:
        self._connect()
        reply = self._said("check_status server")
        tables = [item["rows"] for item in reply["data"] if item["type"] == "table"]
        return {row[0]: row[4] for rows in tables for row in rows[1:] if len(row) > 4}

    def _answering(self) -> list[str]:
        states = self._said("check_status client").get("meta", {}).get("client_status", [])
        return [one["client_name"] for one in states if one["status"] not in ("no_reply", "error")]

    def _said(self, line: str) -> dict:
        self._session.line(line)
        reply = self._session.exchanges.pop()["reply"]
        return reply if isinstance(reply, dict) else {"data": [], "meta": {}}
