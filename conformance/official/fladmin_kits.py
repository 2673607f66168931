"""Copies of admin kits that an nvflare 2.7 accepts: it wants `signature.json`, which later releases do not write.

The signature is made as the provisioning of 2.7 makes it, with the key of the project's authority, which stands in the
state beside the kits: provisioning and the simulator leave it there.
"""

import json
import shutil
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from nvflare.lighter.utils import sign_folders


def authority_key(kits: Path):
    """The key of the authority of the project that these kits belong to."""
    state = json.loads((kits.parent / "state" / "cert.json").read_text())
    return serialization.load_pem_private_key(state["root_pri_key"].encode(), password=None)


def signed_copy(kit: Path, into: Path) -> Path:
    """A copy of the kit whose startup folder is signed."""
    copy = into / kit.name
    shutil.copytree(kit, copy)
    sign_folders(str(copy / "startup"), authority_key(kit.parent), signature_file="signature.json")
    return copy
