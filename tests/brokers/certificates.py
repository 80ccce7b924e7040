"""A certificate authority for one broker, a server certificate for the loopback, and one for a client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Certificates:
    """PEM files; every key is PKCS#8, the only form Kafka reads (KIP-651)."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    @classmethod
    def issue(cls, folder: Path) -> Certificates:
        """Write a fresh authority's certificates into a new folder."""
        folder.mkdir()
        files = cls(*(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(files.ca))
        _write(authority.issue_cert("127.0.0.1", "localhost"), files.server, files.server_key)
        _write(authority.issue_cert("alice@example.org", common_name="alice"), files.client, files.client_key)
        return files


def _write(issued: trustme.LeafCert, certificate: Path, key: Path) -> None:
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    loaded = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
