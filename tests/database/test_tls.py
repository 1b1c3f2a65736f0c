"""TLS to a real server, with and without client certificates, and what can be wrong with it."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from backup_manager.database.connection import Database, Source
from backup_manager.database.source import tls_context
from backup_manager.database.waiting import wait_for_database
from backup_manager.errors import DatabaseError, ExitCode, UsageError
from backup_manager.report import Report
from backup_manager.signals import Stop
from tests.database.conftest import PASSWORD, USER
from tests.database.proxy import Proxy
from tests.servers import Certificates, MariaDB


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("guarded"), tls=certificates) as server:
        server.create_account(USER, PASSWORD, require="SSL")
        server.create_account("certified", PASSWORD, require="X509")
        yield server


@pytest.fixture
def trusting(guarded: MariaDB, certificates: Certificates) -> Source:
    return Source(guarded.host, guarded.port, USER, PASSWORD, tls_ca=certificates.ca_file)


def connect(source: Source, report: Report) -> Database:
    return wait_for_database(source, timeout=10, stop=Stop(), report=report, interval=0.01)


def cipher(database: Database) -> str:
    ((_, value),) = database.query("SHOW STATUS LIKE 'Ssl_cipher'")
    return str(value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_ca_alone(trusting: Source, report: Report, host: str) -> None:
    with connect(replace(trusting, host=host), report) as database:
        assert cipher(database)
        with database.fresh() as line:
            assert cipher(line)


def test_a_client_certificate(trusting: Source, certificates: Certificates, report: Report) -> None:
    source = replace(trusting, user="certified")
    with pytest.raises(DatabaseError, match="Access denied"):
        connect(source, report)
    source = replace(
        source, tls_cert=certificates.client_certificate, tls_key=certificates.client_key
    )
    with connect(source, report) as database:
        assert cipher(database)


def test_without_tls_an_account_that_demands_it_is_told(trusting: Source, report: Report) -> None:
    with pytest.raises(DatabaseError, match="needs --tls-ca"):
        connect(replace(trusting, tls_ca=None), report)


def refused_at_once(source: Source, report: Report, log: io.StringIO, match: str) -> None:
    with pytest.raises(DatabaseError, match=match) as caught:
        connect(source, report)
    assert ExitCode.DATABASE == caught.value.exit_code
    assert "waiting" not in log.getvalue()


def test_a_server_of_another_ca_is_not_trusted(
    trusting: Source, report: Report, log: io.StringIO, tmp_path: Path
) -> None:
    other = Certificates.create(tmp_path)
    refused_at_once(replace(trusting, tls_ca=other.ca_file), report, log, "is not trusted")


def test_the_systems_cas_count_without_one_of_our_own(
    trusting: Source, certificates: Certificates, report: Report, log: io.StringIO
) -> None:
    source = replace(
        trusting,
        tls_ca=None,
        tls_cert=certificates.client_certificate,
        tls_key=certificates.client_key,
    )
    refused_at_once(source, report, log, "is not trusted")


def test_a_server_of_another_name_is_not_trusted(
    trusting: Source, report: Report, log: io.StringIO
) -> None:
    with Proxy(trusting.host, trusting.port, listen="127.0.0.2") as proxy:
        source = replace(trusting, host=proxy.host, port=proxy.port)
        refused_at_once(source, report, log, r"is not trusted.*127\.0\.0\.2")


def test_a_client_certificate_of_another_ca_is_refused(
    trusting: Source, report: Report, tmp_path: Path
) -> None:
    other = Certificates.create(tmp_path)
    source = replace(
        trusting,
        user="certified",
        tls_cert=other.client_certificate,
        tls_key=other.client_key,
    )
    # The server's alert may be lost behind its reset of the line: then the next try has it.
    with pytest.raises(DatabaseError, match="TLS failed"):
        connect(source, report)


def test_a_server_without_tls(
    server: MariaDB, certificates: Certificates, report: Report, log: io.StringIO
) -> None:
    source = Source(server.host, server.port, USER, PASSWORD, tls_ca=certificates.ca_file)
    refused_at_once(source, report, log, "turn TLS on at the server")


@pytest.fixture
def paths(certificates: Certificates, tmp_path: Path) -> dict[str, Path]:
    encrypted = trustme.CA().issue_cert("x").private_key_pem.bytes()
    written = {"nothing": tmp_path / "nothing", "words": tmp_path / "words"}
    written["words"].write_text("no PEM")
    written["directory"] = tmp_path
    written["ca"] = certificates.ca_file
    written["cert"] = certificates.client_certificate
    written["key"] = certificates.client_key
    written["server's key"] = certificates.key
    written["half"] = tmp_path / "half"
    written["half"].write_bytes(encrypted[: len(encrypted) // 2])
    return written


@pytest.mark.parametrize(
    ("ca", "cert", "key", "match"),
    [
        ("nothing", None, None, "--tls-ca .*nothing cannot be read: No such file"),
        ("directory", None, None, "--tls-ca .* cannot be read: Is a directory"),
        ("words", None, None, "--tls-ca .*words holds no certificate"),
        ("key", None, None, "holds no certificate"),
        ("ca", "nothing", "key", "--tls-cert .*nothing cannot be read"),
        ("ca", "cert", "nothing", "--tls-key .*nothing cannot be read"),
        ("ca", "cert", "server's key", "--tls-key .* does not belong to --tls-cert"),
        ("ca", "cert", "words", "cannot be used"),
        ("ca", "cert", "half", "cannot be used"),
        ("ca", "words", "key", "cannot be used"),
        ("ca", "cert", None, "--tls-cert is given without --tls-key"),
        (None, None, "key", "--tls-key is given without --tls-cert"),
    ],
)
def test_files_that_cannot_be_used(
    paths: dict[str, Path], ca: str | None, cert: str | None, key: str | None, match: str
) -> None:
    source = Source(
        "127.0.0.1",
        1,
        USER,
        PASSWORD,
        tls_ca=paths[ca] if ca else None,
        tls_cert=paths[cert] if cert else None,
        tls_key=paths[key] if key else None,
    )
    with pytest.raises(UsageError, match=match) as caught:
        tls_context(source)
    assert ExitCode.USAGE == caught.value.exit_code


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path, certificates: Certificates) -> None:
    key = serialization.load_pem_private_key(certificates.client_key.read_bytes(), None)
    locked = tmp_path / "locked"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    source = Source("h", 1, USER, "", tls_cert=certificates.client_certificate, tls_key=locked)
    with pytest.raises(UsageError, match="without a passphrase"):
        tls_context(source)


def test_no_tls_is_no_context() -> None:
    assert tls_context(Source("h", 1, USER, "")) is None
