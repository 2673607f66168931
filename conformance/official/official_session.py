"""One admin's session through the unmodified official client, with what it sends and gets kept.

The client is used as installed. What its own interface does not show, the reply as it came, is kept by wrapping
the send function of its one cell at run time.
"""

import base64
import functools
import json

from nvflare.fuel.f3.cellnet.defs import CellChannel, MessageHeaderKey
from nvflare.fuel.f3.cellnet.fqcn import FQCN
from nvflare.fuel.f3.message import Message
from nvflare.fuel.flare_api.flare_api import Session
from nvflare.private.fed.utils.identity_utils import IdentityAsserter

import late_connections
from federation import Federation, Kit
from quiet import quiet

# Above the 10 s after which a server gives up waiting for a site, so that its answer about it is seen.
REPLY_TIMEOUT = 15.0
CONNECT_TIMEOUT = 10.0

late_connections.close_them()


class OfficialSession:
    """A logged-in session."""

    def __init__(self, federation: Federation, kit: Kit, study: str = "default"):
        self.federation = federation
        self.kit = kit
        # Clients from before 2.8 know no studies.
        in_study = {} if study == "default" else {"study": study}
        self.session = Session(kit.user, str(kit.folder), **in_study)
        with quiet():
            self.session.try_connect(CONNECT_TIMEOUT)
        # The client waits 5 s, half of what the server gives a site; then a slow machine would look like a difference.
        self.session.api.set_command_timeout(REPLY_TIMEOUT)
        self.token = self.session.api.token
        self.last_token = None
        # Every session that was made over this connection, its own first.
        self.session_ids = {self.claims(self.token)["s"]}
        self.identity = _identity(kit)
        self.exchanges: list[dict] = []
        self._send = self.session.api.cell.send_request
        self.session.api.cell.send_request = self._send_and_keep

    def _send_and_keep(self, channel, *arguments, **options):
        # By name, as the client does: it is by this name that the cell finds out how to send.
        answer = self._send(*arguments, channel=channel, **options)
        if channel == CellChannel.HCI:
            self.exchanges.append(self._exchange(answer))
        return answer

    def _exchange(self, answer: Message) -> dict:
        reply = answer.payload
        try:
            parsed = json.loads(reply) if isinstance(reply, str) else reply
            # The exact text counts as well: separators and escapes.
            plain = json.dumps(parsed) == reply
        except ValueError:
            parsed, plain = reply, False
        for item in parsed.get("data", []) if isinstance(parsed, dict) else []:
            if item.get("type") == "token":
                item["data"] = self._keep_token(item["data"])
        return {
            "reply": parsed if not isinstance(parsed, bytes) else parsed.decode("latin-1"),
            "as_python_writes_json": plain,
            "return_code": answer.get_header(MessageHeaderKey.RETURN_CODE),
            "headers": sorted(answer.headers),
        }

    def _keep_token(self, token: str) -> dict:
        self.last_token = token
        self.session_ids.add(self.claims(token)["s"])
        return self.described(token)

    @staticmethod
    def claims(token: str) -> dict:
        """What a session token says."""
        return json.loads(base64.b64decode(token.split(":")[0]))

    def described(self, token: str) -> dict:
        """A session token as it can be compared with another: what it says, and how long its signature is."""
        claims = self.claims(token)
        # The end of the user's own certificate is named, so that it needs no partner on the other side.
        if claims.get("ce") == self.federation.kit(claims["n"]).certificate_end:
            claims["ce"] = "the end of the certificate"
        return {"claims": claims, "signature_bytes": len(base64.b64decode(token.split(":")[1]))}

    def line(self, line: str, token=..., meta: dict | None = None, headers: dict | None = None) -> None:
        """Sends one command line; `token` is the session's own unless given, None leaves it out."""
        token = self.token if token is ... else token
        items = [{"type": "command", "data": line}]
        if token is not None:
            items.append({"type": "token", "data": token})
        self.payload(json.dumps({"time": "2026-01-01 00:00:00.000000", "data": items, "meta": meta or {}}), headers)

    def payload(self, payload, headers: dict | None = None) -> None:
        """Sends any payload where a request is expected."""
        self.session.api.cell.send_request(
            channel=CellChannel.HCI,
            topic="command",
            target=FQCN.ROOT_SERVER,
            request=Message(payload=payload, headers=headers),
            timeout=REPLY_TIMEOUT,
        )

    def login_headers(self, kit: Kit | None = None, **changes) -> dict:
        """The headers that accompany `_cert_login` of a kit; a change to None leaves the header out."""
        identity = _identity(kit or self.kit)
        headers = {
            "user_name": identity.cn,
            "cert": identity.cert_data,
            "signature": identity.sign_common_name(nonce=""),
            "study": "default",
        }
        headers.update(changes)
        return {name: value for name, value in headers.items() if value is not None}

    def close(self) -> None:
        """Logs out and ends the connection."""
        with quiet():
            self.session.close()


# Reading a private key takes a twentieth of a second of computing, and it is asked for two hundred times.
@functools.cache
def _identity(kit: Kit) -> IdentityAsserter:
    return IdentityAsserter(str(kit.key_file), str(kit.folder / "startup" / "client.crt"))
