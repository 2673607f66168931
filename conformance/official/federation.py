"""The two federations that are compared, as their folders of startup kits tell of them.

A folder of kits is what `nvflare provision`, `flare-conformance real up` and `flare-simserver serve` leave
behind: one folder per participant. Only the admins' kits matter here; who an admin is stands in his certificate.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

# The provisioning tool keeps the role in PKCS#9 unstructuredName; `cryptography` has no name for it.
ROLE = ObjectIdentifier("1.2.840.113549.1.9.2")


@dataclass(frozen=True)
class Kit:
    """One admin's startup kit."""

    folder: Path
    user: str
    organization: str
    role: str
    host: str
    port: int
    certificate_end: float

    @property
    def who(self) -> str:
        """How reports name the kit."""
        return f"{self.role} {self.user}"

    @property
    def certificate(self) -> bytes:
        """The certificate as the login sends it."""
        return (self.folder / "startup" / "client.crt").read_bytes()

    @property
    def key_file(self) -> Path:
        """The private key that belongs to the certificate."""
        return self.folder / "startup" / "client.key"


@dataclass(frozen=True)
class Federation:
    """A folder of kits: one side of the comparison."""

    folder: Path
    kits: list[Kit] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The one port that serves the sites and the admins."""
        return self.kits[0].port

    def kit(self, user: str) -> Kit:
        """The kit of the named admin."""
        return next(kit for kit in self.kits if kit.user == user)


def read_federation(folder: str | Path) -> Federation:
    """Reads every admin kit in `folder`, ordered by user name; the machine is expected to be the local one."""
    folder = Path(folder).resolve()
    configurations = sorted(folder.glob("*/startup/fed_admin.json"))
    if not configurations:
        raise SystemExit(f"no admin startup kit in {folder}")
    return Federation(folder, [_read_kit(path) for path in configurations])


def _read_kit(configuration: Path) -> Kit:
    admin = json.loads(configuration.read_text())["admin"]
    certificate = x509.load_pem_x509_certificate((configuration.parent / "client.crt").read_bytes())

    def attribute(identifier):
        found = certificate.subject.get_attributes_for_oid(identifier)
        return found[0].value if found else ""

    return Kit(
        folder=configuration.parent.parent,
        user=attribute(NameOID.COMMON_NAME),
        organization=attribute(NameOID.ORGANIZATION_NAME),
        role=attribute(ROLE),
        host=admin.get("host", "localhost"),
        port=int(admin.get("port", 8002)),
        certificate_end=certificate.not_valid_after_utc.timestamp(),
    )
