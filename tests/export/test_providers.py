"""Each row of the table of providers, against a server that behaves so."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from backup_manager.store.providers import PROVIDERS
from tests import quirks
from tests.export.conftest import Make
from tests.export.replays import replay
from tests.export.state import left_on, open_uploads
from tests.restore import fetch_backup
from tests.servers import Account, Ceph, Gateway, Quirk, Rclone, S3Server, SeaweedFS

KEY, SECRET = "AKIAPROVIDERTEST", "provider-secret-canary"
# 12 MB in three parts; the other files whole.
_PARTS = ["--s3-chunk-size=5M", "--s3-upload-cutoff=5M"]
_PLAN = {"replay": {"files": 4, "bytes": 2000, "big": {"files": 1, "bytes": 12_000_000}}}


@dataclass(frozen=True)
class Kind:
    """How a store of that provider is met: its own name over TLS, or an address of the gateway."""

    quirks: tuple[Quirk, ...]
    region: str  # what the signature must be made for
    host: str | None = None  # reached by its true name, without --endpoint
    given_region: bool = True
    suffixes: tuple[str, ...] = field(default=())
    virtual: bool = False


_KINDS = {
    "aws": Kind(
        (quirks.COMPLETES, quirks.MD5_FOR_BULK_DELETE),
        "eu-central-1",
        "s3.eu-central-1.amazonaws.com",
        virtual=True,
    ),
    "minio": Kind(
        (
            quirks.PATH_ONLY,
            quirks.COMPLETES,
            quirks.NO_CHECKSUMS,
            quirks.MD5_FOR_BULK_DELETE,
        ),
        "us-east-1",
    ),
    "alibaba": Kind(
        (
            quirks.VIRTUAL_ONLY,
            quirks.NO_CHECKSUMS,
            quirks.NO_CONDITIONS,
            quirks.MD5_FOR_BULK_DELETE,
            quirks.OTHER_MULTIPART_ETAGS,
            quirks.COMPLETES,
        ),
        "cn-hangzhou",
        "s3.oss-cn-hangzhou.aliyuncs.com",
        suffixes=("s3.oss-cn-hangzhou.aliyuncs.com",),
        virtual=True,
    ),
    "cloudflare": Kind(
        (quirks.NO_CHECKSUMS, quirks.NO_ACL, quirks.OTHER_MULTIPART_ETAGS, quirks.COMPLETES),
        "auto",
        given_region=False,
    ),
    "backblaze": Kind(
        (quirks.TLS_ONLY, quirks.NO_CHECKSUMS, quirks.COMPLETES),
        "us-west-004",
        "s3.us-west-004.backblazeb2.com",
    ),
    "google": Kind(
        (quirks.NO_CHECKSUMS, quirks.NO_BULK_DELETE, quirks.NO_CONDITIONS, quirks.COMPLETES),
        "auto",
        "storage.googleapis.com",
        given_region=False,
    ),
}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


class _Reader(S3Server):
    """The gateway as the tests read from it: path style, by its own address."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self.http = gateway.url
        self.access_key, self.secret_key = KEY, SECRET


def _gateway(ceph: Ceph, kind: Kind, authority: trustme.CA, **more: Any) -> Gateway:
    return Gateway(
        ceph,
        Account(KEY, SECRET),
        quirks=kind.quirks,
        region=kind.region,
        authority=authority,
        suffixes=kind.suffixes,
        **more,
    )


@pytest.mark.parametrize("provider", _KINDS)
def test_a_provider(
    double: Make,
    ceph: Ceph,
    bucket: str,
    volume: Path,
    tmp_path: Path,
    authority: trustme.CA,
    ca_file: Path,
    provider: str,
) -> None:
    """A run that fails and undoes what it has sent, then one that publishes."""
    kind = _KINDS[provider]
    with _gateway(ceph, kind, authority) as gateway:
        settings: dict[str, Any] = {
            "provider": provider,
            "endpoint": None if kind.host else gateway.url,
            "region": kind.region if kind.given_region else None,
            "s3_ca": ca_file if kind.host else None,
            "access_key": KEY,
            "secret_key": SECRET,
            "s3_option": _PARTS,
            "table_filter": [],
            "environment": {"HTTPS_PROXY": gateway.proxy_url, "NO_PROXY": "127.0.0.1"},
        }
        double(_PLAN, {"misdeed": "exit-1-at-end"}, **settings).run().expect(5)
        assert ([], []) == (_objects(ceph, bucket), open_uploads(ceph, bucket))

        result = double(_PLAN, **settings).run().expect(0, "Complete")

        assert {kind.virtual} == {request.virtual for request in _received(gateway)}
        conditions = any("if-none-match" in request.headers for request in gateway.requests)
        assert conditions is PROVIDERS[provider].conditional
        deletes = {request.operation for request in gateway.requests}
        assert ("DeleteObjects" in deletes) is PROVIDERS[provider].bulk_delete
        assert "CompleteMultipartUpload" in {request.operation for request in gateway.accepted}
        assert [] == left_on(volume)
        gateway.quirks = tuple(
            quirk
            for quirk in kind.quirks
            if quirk in {quirks.OTHER_MULTIPART_ETAGS, quirks.COMPLETES}
        )
        gateway.region = None
        fetched = fetch_backup(_Reader(gateway).client(), bucket, result.directory, tmp_path / "f")
    assert result.summary["files"] == len(fetched.rows)


def _received(gateway: Gateway) -> list[Any]:
    return list(gateway.accepted)


def _objects(ceph: Ceph, bucket: str) -> list[str]:
    return [
        item["Key"] for item in ceph.client().list_objects_v2(Bucket=bucket).get("Contents", [])
    ]


@pytest.fixture(scope="session")
def others(rclone: Rclone, seaweedfs: SeaweedFS) -> dict[str, S3Server]:
    return {"other": rclone, "seaweedfs": seaweedfs}


@pytest.mark.parametrize("provider", ["other", "seaweedfs"])
def test_a_real_one(
    double: Make, others: dict[str, S3Server], volume: Path, tmp_path: Path, provider: str
) -> None:
    server = others[provider]
    server.create_bucket("providers")
    settings = {
        "provider": provider,
        "endpoint": server.http,
        "bucket": "providers",
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "s3_option": _PARTS,
        "table_filter": [],
    }
    result = double(_PLAN, **settings).run().expect(0, "Complete")

    fetched = fetch_backup(server.client(), "providers", result.directory, tmp_path / "fetched")
    assert result.summary["files"] == len(fetched.rows)
    assert [] == left_on(volume)


def test_every_provider_is_tried() -> None:
    # All other tests of export are Ceph's.
    assert {*PROVIDERS} == {*_KINDS, "other", "seaweedfs", "ceph"}


@pytest.mark.parametrize("kind", ["::1", "without a scheme", "virtual", "an insecure one"])
def test_endpoints(
    double: Make, ceph: Ceph, bucket: str, volume: Path, authority: trustme.CA, kind: str
) -> None:
    """An address of IPv6, one without a scheme, virtual-host style, and TLS that nobody knows."""
    account = Account(KEY, SECRET)
    host = "::1" if kind == "::1" else "127.0.0.1"
    insecure = kind == "an insecure one"
    with Gateway(
        ceph,
        account,
        host=host,
        authority=authority,
        secure=insecure,
        suffixes=("s3.test",),
    ) as gateway:
        settings: dict[str, Any] = {
            "endpoint": gateway.url.removeprefix("http://")
            if kind == "without a scheme"
            else gateway.url,
            "access_key": KEY,
            "secret_key": SECRET,
            "table_filter": [],
        }
        if kind == "virtual":
            settings["environment"] = {"HTTP_PROXY": gateway.proxy_url}
            settings |= {"endpoint": "http://s3.test", "s3_addressing": "virtual"}
        export = double(replay(1), **settings)
        if insecure:
            refused = export.run().expect(7)
            assert "--s3-ca" in refused.message
            export = export.but(s3_insecure=True)

        result = export.run().expect(0)

        assert insecure is any("--s3-insecure" in text for text in result.warnings)
        assert {kind == "virtual"} == {request.virtual for request in _received(gateway)}
    assert [] == left_on(volume)


@pytest.fixture
def locking(ceph: Ceph) -> Iterator[Gateway]:
    with Gateway(ceph, Account(KEY, SECRET), quirks=(quirks.MD5_FOR_OBJECT_LOCK,)) as gateway:
        yield gateway


def test_a_bucket_that_locks_by_default_gets_its_content_md5(
    double: Make, locking: Gateway, volume: Path
) -> None:
    """Nothing in the settings says that it does."""
    settings = {"endpoint": locking.url, "access_key": KEY, "secret_key": SECRET}
    double(_PLAN, **settings, s3_option=_PARTS, table_filter=[]).run().expect(0)
    assert [] == left_on(volume)
