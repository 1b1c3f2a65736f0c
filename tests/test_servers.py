"""The servers that the other tests rely on: they start, keep what is written, and leave nothing."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from botocore.exceptions import ClientError, SSLError

from tests.servers import (
    GC_COMMENT,
    GC_VALUE,
    Ceph,
    Certificates,
    ExternalTiDB,
    MariaDB,
    Process,
    Rclone,
    S3Server,
    SeaweedFS,
    ServerError,
    missing,
    wait_until,
)

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

MIB = 1 << 20

needs_mariadb = pytest.mark.skipif(
    bool(missing("mariadbd", "mariadb")), reason="no MariaDB: scripts/install-packages"
)
needs_ceph = pytest.mark.skipif(
    bool(missing("radosgw", "ceph-osd")), reason="no Ceph: scripts/install-packages"
)


def gone(pid: int) -> bool:
    """Whether no such process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@needs_mariadb
def test_mariadb_keeps_its_data_over_restart_and_kill(tmp_path: Path) -> None:
    with MariaDB(tmp_path) as server:
        port, first = server.port, server.pid
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.t (a INT PRIMARY KEY, b TEXT)")
        server.execute("INSERT INTO shop.t VALUES (%s, %s), (%s, %s)", (1, "é", 2, None))
        before = server.checksum_tables("shop")
        server.restart()
        assert first != server.pid
        server.kill()
        server.start()
        assert port == server.port
        assert server.execute("SELECT * FROM shop.t") == [(1, "é"), (2, None)]
        assert before == server.checksum_tables("shop")
        last = server.pid
    assert last is not None
    assert gone(last)
    assert server.pid is None


@needs_mariadb
def test_mariadb_dresses_as_tidb(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)  # more than a socket's path may have
    with MariaDB(deep) as server:
        ((version,),) = server.execute("SELECT VERSION()")
        assert "-TiDB-" in version
        assert server.gc_row() == (GC_VALUE, GC_COMMENT)
        ((_, position, *_),) = server.execute("SHOW MASTER STATUS")
        assert position > 0
        server.create_account("backup", "it's: 5%")
        with server.connect("backup", "it's: 5%") as connection, connection.cursor() as cursor:
            assert cursor.execute("UPDATE mysql.tidb SET VARIABLE_VALUE = '72h'") == 1
            with pytest.raises(pymysql.err.OperationalError):
                cursor.execute("CREATE DATABASE forbidden")
        assert server.gc_row()[0] == "72h"
        subprocess.run(
            server.client_argv(), input=b"CREATE DATABASE loaded;\n", check=True, timeout=20
        )
        assert server.checksum_tables("loaded") == {}


@needs_mariadb
def test_the_checksum_for_tidb_sees_every_change_but_order(tmp_path: Path) -> None:
    with MariaDB(tmp_path) as server:
        other = ExternalTiDB(server.host, server.port)
        other.execute("CREATE DATABASE shop")
        seen = set()
        for values in ("(1, 'a'), (2, 'b')", "(2, 'b'), (1, 'a')", "(1, 'b'), (2, 'a')"):
            other.execute("CREATE OR REPLACE TABLE shop.`t``x` (a INT, b VARBINARY(9))")
            other.execute(f"INSERT INTO shop.`t``x` VALUES {values}")
            seen.add(other.checksum_tables("shop")["t`x"])
        for change in ("b = ''", "b = NULL", "a = NULL"):
            other.execute(f"UPDATE shop.`t``x` SET {change} WHERE a = 1")
            seen.add(other.checksum_tables("shop")["t`x"])
        assert len(seen) == 5


@needs_mariadb
def test_plain_mariadb_and_tls(tmp_path: Path) -> None:
    certificates = Certificates.create(tmp_path / "tls")
    with MariaDB(tmp_path / "plain", tidb=False, tls=certificates) as server:
        ((version,),) = server.execute("SELECT VERSION()")
        assert "TiDB" not in version
        assert server.execute("SHOW TABLES IN mysql LIKE 'tidb'") == []
        server.create_account("backup", "secret", require="X509")
        trust: dict[str, Any] = {"ssl_ca": str(certificates.ca_file), "ssl_verify_identity": True}
        pair: dict[str, Any] = {
            "ssl_cert": str(certificates.client_certificate),
            "ssl_key": str(certificates.client_key),
        }
        server.connect("backup", "secret", **trust, **pair).close()
        with pytest.raises(pymysql.err.OperationalError):
            server.connect("backup", "secret", **trust)


def check_objects(server: S3Server) -> None:
    server.create_bucket("bucket")
    client = server.client()
    client.put_object(Bucket="bucket", Key="a/é b", Body=b"data")
    assert client.get_object(Bucket="bucket", Key="a/é b")["Body"].read() == b"data"
    with pytest.raises(ClientError) as caught:
        server.client(secret_key="wrong").list_objects_v2(Bucket="bucket")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="no-such-bucket", Key="k", Body=b"data")


def multipart_etag(server: S3Server) -> str:
    client = server.client()
    upload = client.create_multipart_upload(Bucket="bucket", Key="big")["UploadId"]
    parts: list[CompletedPartTypeDef] = []
    for number, body in enumerate((b"1" * (5 * MIB), b"2" * 100), start=1):
        answer = client.upload_part(
            Bucket="bucket", Key="big", UploadId=upload, PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(
        Bucket="bucket", Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    return client.head_object(Bucket="bucket", Key="big")["ETag"].strip('"')


def md5_of_md5s() -> str:
    both = [hashlib.md5(body).digest() for body in (b"1" * (5 * MIB), b"2" * 100)]
    return hashlib.md5(b"".join(both)).hexdigest() + "-2"


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    with Ceph(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@needs_ceph
class TestCeph:
    def test_objects(self, ceph: Ceph) -> None:
        check_objects(ceph)
        assert md5_of_md5s() == multipart_etag(ceph)

    def test_https_with_and_without_the_authority(self, ceph: Ceph) -> None:
        ceph.client(secure=True).list_buckets()
        with pytest.raises(SSLError):
            ceph.client(secure=True, verify=True, retries={"total_max_attempts": 1}).list_buckets()

    def test_a_user_has_the_rights_of_the_policy_alone(self, ceph: Ceph) -> None:
        ceph.create_bucket("narrow")
        access_key, secret_key = ceph.create_user("writer")
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam:::user/writer"]},
            "Action": ["s3:PutObject"],
            "Resource": ["arn:aws:s3:::narrow/own/*"],
        }
        ceph.set_policy("narrow", {"Version": "2012-10-17", "Statement": [statement]})
        writer = ceph.client(access_key=access_key, secret_key=secret_key)
        writer.put_object(Bucket="narrow", Key="own/k", Body=b"data")
        # What it wrote it may read: an object belongs to the account that made it.
        ceph.client().put_object(Bucket="narrow", Key="own/foreign", Body=b"data")
        for refused in (
            lambda: writer.put_object(Bucket="narrow", Key="other/k", Body=b"data"),
            lambda: writer.get_object(Bucket="narrow", Key="own/foreign"),
            lambda: writer.list_objects_v2(Bucket="narrow"),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()

    def test_two_at_once_and_data_over_kill(self, ceph: Ceph, tmp_path: Path) -> None:
        with Ceph(tmp_path) as other:
            other.create_bucket("bucket-of-other")
            assert "bucket-of-other" not in [
                bucket["Name"] for bucket in ceph.client().list_buckets()["Buckets"]
            ]
            other.client().put_object(Bucket="bucket-of-other", Key="k", Body=b"data")
            other.kill()
            other.start()
            answer = other.client().get_object(Bucket="bucket-of-other", Key="k")
            assert answer["Body"].read() == b"data"
            pids = other.pids
        assert len(pids) == 3
        assert all(gone(pid) for pid in pids)
        ceph.client().list_buckets()


@pytest.mark.skipif(bool(missing("rclone")), reason="no rclone")
def test_rclone(tmp_path: Path) -> None:
    with Rclone(tmp_path) as server:
        check_objects(server)


@pytest.mark.skipif(bool(missing("weed")), reason="no SeaweedFS")
def test_seaweedfs_twice_at_once(tmp_path: Path) -> None:
    with SeaweedFS(tmp_path / "1") as one, SeaweedFS(tmp_path / "2"):
        check_objects(one)
        assert md5_of_md5s() == multipart_etag(one)


def test_a_child_that_dies_early_is_told_with_its_log(tmp_path: Path) -> None:
    child = Process(["sh", "-c", "echo reason; exit 3"], log=tmp_path / "log")
    with pytest.raises(ServerError, match=r"sh ended with 3:\nreason"):
        child.wait_ready(lambda: False)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = Process(["sh", "-c", "trap '' TERM; echo up; sleep 60"], log=tmp_path / "log")
    child.wait_ready(lambda: "up" in child.tail())
    child.stop(grace=0.1)
    assert not child.running


def test_children_die_with_us(tmp_path: Path) -> None:
    # The child is started by a thread that ends, and outlives it; then we are killed.
    script = """
import sys, threading
from pathlib import Path
from tests.servers import Process
def start():
    print(Process(["sleep", "600"], log=Path(sys.argv[1])).pid, flush=True)
thread = threading.Thread(target=start)
thread.start()
thread.join()
sys.stdin.read()
"""
    us = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert us.stdout is not None
    with us:
        child = int(us.stdout.readline())
        try:
            # It has asked for the signal once it is what it was told to become.
            begun = Path(f"/proc/{child}/cmdline")
            wait_until(
                lambda: b"sleep" in begun.read_bytes().split(b"\0")[0],
                seconds=60,
                what="it began",
            )
        finally:
            us.kill()
            us.wait()
    try:
        wait_until(lambda: gone(child), seconds=5, what="the child is gone")
    except ServerError:
        os.kill(child, signal.SIGKILL)
        raise
