"""TLS with the database as the operator has it: certificates in a directory of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_manager import settings
from tests.command import CANARY_PASSWORD
from tests.doctor.examination import Diagnosis, Doctor
from tests.doubles.kubernetes_double import KubernetesDouble
from tests.servers import Ceph, Certificates, MariaDB

from .conftest import Apply, MakeJob
from .jobs import NAME, OperatorJob, Shown

ACCOUNT = "certified"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[MariaDB]:
    """A database whose account has to show a certificate."""
    with MariaDB(tmp_path_factory.mktemp("guarded"), tls=certificates) as server:
        server.create_account(ACCOUNT, CANARY_PASSWORD, require="X509")
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.orders (id INT PRIMARY KEY)")
        server.execute("INSERT INTO shop.orders VALUES (1), (2)")
        yield server


@pytest.fixture
def mounted(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Secret of spec.from.tlsClientSecretName as the operator mounts it, at another place."""
    directory = tmp_path / "tidb-client-tls"
    directory.mkdir()
    shutil.copy(certificates.ca_file, directory / "ca.crt")
    shutil.copy(certificates.client_certificate, directory / "tls.crt")
    shutil.copy(certificates.client_key, directory / "tls.key")
    monkeypatch.setattr(settings, "CLIENT_TLS", str(directory))
    return directory


def files_of(shown: Shown) -> dict[str, str]:
    """Where our own connection and Dumpling have their certificates from: it must be the same."""
    flags = {"tls-ca": "--ca=", "tls-cert": "--cert=", "tls-key": "--key="}
    ours = {name: shown.settings[name].split()[0] for name in flags}
    dumplings = {
        name: word.removeprefix(flag)
        for name, flag in flags.items()
        for word in shown.argv
        if word.startswith(flag)
    }
    given = {name: path for name, path in ours.items() if path != "(none)"}
    assert given == dumplings
    return given


# Which files -------------------------------------------------------------------------------


@pytest.mark.parametrize("further", [["--client-tls=true"], ["--client-tls"]])
def test_with_its_directory(put: Apply, job: MakeJob, mounted: Path, further: list[str]) -> None:
    put(from_={"tlsClientSecretName": "backup-tidb-client-secret"})

    shown = job().shown(*further)

    expected = {"tls-ca": "ca.crt", "tls-cert": "tls.crt", "tls-key": "tls.key"}
    assert {name: str(mounted / file) for name, file in expected.items()} == files_of(shown)
    origins = {shown.settings[name].split()[1] for name in expected}
    assert {"--client-tls"} == origins
    assert "true --client-tls" == shown.settings["client-tls"]
    assert [] == shown.warnings


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("further", [[], ["--client-tls=false"]])
def test_not_asked_for(put: Apply, job: MakeJob, further: list[str]) -> None:
    put()

    shown = job().shown(*further)

    assert {} == files_of(shown)
    assert "false" == shown.settings["client-tls"].split()[0]


@pytest.mark.parametrize("further", ["--skipClientCA", "--skipClientCA=true"])
def test_without_a_check(put: Apply, job: MakeJob, mounted: Path, further: str) -> None:
    """Dumpling does not check where it knows no CA."""
    put()

    shown = job().shown("--client-tls=true", further)

    expected = {"tls-cert": "tls.crt", "tls-key": "tls.key"}
    assert {name: str(mounted / file) for name, file in expected.items()} == files_of(shown)
    (warning,) = shown.warnings
    assert "certificate was not checked (--skipClientCA)" in warning


def test_files_of_ones_own_go_before(
    put: Apply, job: MakeJob, mounted: Path, certificates: Certificates
) -> None:
    put()

    shown = job(tls_ca=certificates.ca_file).shown("--client-tls=true")

    assert str(certificates.ca_file) == files_of(shown)["tls-ca"]
    assert shown.settings["tls-ca"].endswith(" --tls-ca")
    assert str(mounted / "tls.crt") == files_of(shown)["tls-cert"]


def test_the_secret_is_not_mounted(put: Apply, job: MakeJob) -> None:
    put()

    result = job(client_tls="true").refused().expect(2, "InvalidSettings")

    assert "--client-tls is wrong: there is no file /var/lib/tidb-client-tls/" in result.message


@pytest.mark.parametrize("flag", ["--client-tls", "--skipClientCA"])
def test_neither_true_nor_false(put: Apply, job: MakeJob, flag: str) -> None:
    put()

    result = job().refused(f"{flag}=maybe").expect(2, "InvalidSettings")

    assert f"{flag} is wrong: 'maybe' is neither true nor false" in result.message


# The connection ----------------------------------------------------------------------------


def examined(
    apply: Apply, made: OperatorJob, guarded: MariaDB, ceph: Ceph, bucket: str
) -> Diagnosis:
    apply(from_={"host": guarded.host, "port": guarded.port, "user": ACCOUNT})
    return Doctor(made, ceph, bucket).run()


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("checked", [True, False])
def test_a_whole_backup(
    api: KubernetesDouble, apply: Apply, job: MakeJob, guarded: MariaDB, checked: bool
) -> None:
    """The account lets nobody in without a certificate: Dumpling has shown it too."""
    source = {"host": guarded.host, "port": guarded.port, "user": ACCOUNT}
    apply(from_=source, tableFilter=["shop.*"])

    # In this process, where the directory is another.
    result = job(client_tls="true", skipClientCA=not checked).refused().expect(0, "Complete")

    assert "Complete" == api.backup(NAME)["status"]["phase"]
    assert 0 < result.summary["files"]
    assert (not checked) == any("--skipClientCA" in each for each in result.warnings)


@pytest.mark.usefixtures("mounted")
def test_it_is_checked(
    apply: Apply, job: MakeJob, guarded: MariaDB, ceph: Ceph, bucket: str
) -> None:
    found = examined(apply, job(client_tls="true"), guarded, ceph, bucket)

    assert found.one("database", "ok")["seen"].endswith(", over TLS")
    assert [] == found.of("settings", "warning")


def test_one_of_another_ca_is_refused(
    apply: Apply, job: MakeJob, guarded: MariaDB, ceph: Ceph, bucket: str, mounted: Path
) -> None:
    other = Certificates.create(mounted / "other")
    shutil.copy(other.ca_file, mounted / "ca.crt")

    found = examined(apply, job(client_tls="true"), guarded, ceph, bucket)

    assert "is not trusted" in found.one("database", "failed")["seen"]


def test_one_of_another_ca_is_taken_without_a_check(
    apply: Apply, job: MakeJob, guarded: MariaDB, ceph: Ceph, bucket: str, mounted: Path
) -> None:
    """The certificate of one's own is shown all the same."""
    other = Certificates.create(mounted / "other")
    shutil.copy(other.ca_file, mounted / "ca.crt")

    found = examined(apply, job(client_tls="true", skipClientCA=True), guarded, ceph, bucket)

    assert found.one("database", "ok")["seen"].endswith(", over TLS")


@pytest.mark.usefixtures("mounted")
def test_the_doctor_warns_of_a_connection_without_a_check(
    apply: Apply, job: MakeJob, guarded: MariaDB, ceph: Ceph, bucket: str
) -> None:
    """As export does."""
    made = job(client_tls="true", skipClientCA=True)

    found = examined(apply, made, guarded, ceph, bucket)

    assert any("--skipClientCA" in each["seen"] for each in found.of("settings", "warning"))


def test_not_to_check_does_not_turn_tls_off(
    put: Apply, job: MakeJob, certificates: Certificates
) -> None:
    """A CA of one's own turns TLS on; --skipClientCA takes the check away, and no more."""
    put()
    made = job(tls_ca=certificates.ca_file, skipClientCA=True, connect_timeout="1s")

    result = made.refused().expect(2, "InvalidSettings")

    assert "--client-tls" in result.message
