"""Kits and arguments with which the official client must not get in, and what it says then.

Each takes the client several seconds, so they are done with one kit only, beside the other scripts.
"""

import json
import shutil
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from nvflare.fuel.flare_api.flare_api import new_session

from federation import ROLE, Kit
from official_session import quiet
from steps import Step, action

# Long enough for one attempt on a busy machine; a server that does not let the client in costs all of it.
CONNECT_TIMEOUT = 4.0


def steps() -> list[Step]:
    """All steps with defective kits."""
    return [
        _connecting("the kit as it is"),
        _connecting("unknown study", study="nost"),
        _connecting("study with an impossible name", study="Bad Name"),
        _connecting("user name that is not the certificate's", user="somebody@else.org"),
        _connecting("another project name", admin={"project_name": "another_project"}),
        _connecting("no project name", admin={"project_name": None}),
        _connecting("another server identity", admin={"server_identity": "another"}),
        _connecting("user name from the certificate", user="somebody@else.org", admin={"uid_source": "cert"}),
        _connecting("another transport", admin={"scheme": "grpc"}),
        _connecting("certificate of another root", change=_of_another_root),
        _connecting("another root as trust anchor", change=_trusting_another_root),
        _connecting("key of somebody else", change=_with_another_key),
    ]


def _connecting(what: str, user: str | None = None, study: str = "default", admin: dict | None = None, change=None):
    def act(player):
        with tempfile.TemporaryDirectory() as scratch:
            kit = player.kit
            folder = Path(shutil.copytree(kit.folder, Path(scratch) / "kit"))
            _change_admin(folder, admin or {})
            if change:
                change(folder, kit)
            with quiet():
                session = new_session(user or kit.user, str(folder), timeout=CONNECT_TIMEOUT, study=study)
                name = session.api.user_name
                session.close()
            return {"connected as": name}

    return action(f"connect with {what}", act)


def _change_admin(folder: Path, changes: dict) -> None:
    file = folder / "startup" / "fed_admin.json"
    configuration = json.loads(file.read_text())
    configuration["admin"].update(changes)
    configuration["admin"] = {name: value for name, value in configuration["admin"].items() if value is not None}
    file.write_text(json.dumps(configuration))


def _of_another_root(folder: Path, kit: Kit) -> None:
    root_key, root = _new_certificate("another root", None, None)
    key, certificate = _new_certificate(kit.user, root_key, root, kit)
    (folder / "startup" / "client.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "startup" / "client.key").write_bytes(_pem(key))


def _trusting_another_root(folder: Path, _kit: Kit) -> None:
    _, root = _new_certificate("another root", None, None)
    (folder / "startup" / "rootCA.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))


def _with_another_key(folder: Path, _kit: Kit) -> None:
    (folder / "startup" / "client.key").write_bytes(_pem(rsa.generate_private_key(65537, 2048)))


def _new_certificate(name: str, issuer_key, issuer, kit: Kit | None = None):
    key = rsa.generate_private_key(65537, 2048)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if kit:
        attributes += [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, kit.organization),
            x509.NameAttribute(ROLE, kit.role),
        ]
    subject = x509.Name(attributes)
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
    if not issuer:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def _pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
