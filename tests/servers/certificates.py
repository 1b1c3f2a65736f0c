"""A certificate authority of our own, and certificates for servers and clients on loopback."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority, a server's pair for 127.0.0.1 and localhost, a client's pair."""

    ca_file: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path

    @classmethod
    def create(cls, directory: Path) -> "Certificates":
        """Make a new authority and both pairs in `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        made = cls(
            ca_file=directory / "ca.pem",
            certificate=directory / "server.pem",
            key=directory / "server.key",
            client_certificate=directory / "client.pem",
            client_key=directory / "client.key",
        )
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.ca_file))
        server = authority.issue_cert("127.0.0.1", "localhost", common_name="localhost")
        _write(server, made.certificate, made.key)
        client = authority.issue_cert("client@localhost", common_name="client")
        _write(client, made.client_certificate, made.client_key)
        return made


def _write(pair: trustme.LeafCert, certificate: Path, key: Path) -> None:
    certificate.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    key.touch(mode=0o600)
    pair.private_key_pem.write_to_path(str(key))
