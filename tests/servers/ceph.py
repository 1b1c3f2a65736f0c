"""Ceph's S3 gateway over a cluster of one monitor and one store, without systemd."""

import base64
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .certificates import Certificates
from .ports import free_port, is_open
from .process import Process, run
from .s3 import S3Server, make_keys

# For SSE-KMS, by Ceph's own "testing" backend: keys that stand in its configuration.
KMS_KEY_ID = "backup-key"
_KMS_KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
_CONF = """\
[global]
fsid={fsid}
mon_initial_members=a
mon_host=v2:127.0.0.1:{mon_port}/0
public_network=127.0.0.0/8
public_addr=127.0.0.1
cluster_addr=127.0.0.1
ms_bind_msgr1=false
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=1
osd_pool_default_pgp_num=1
osd_pool_default_pg_autoscale_mode=off
mon_allow_pool_size_one=true
osd_crush_chooseleaf_type=0
mon_data={directory}/mon
osd_data={directory}/osd
rgw_data={directory}/rgw
keyring={directory}/keyring
run_dir={directory}/run
admin_socket=
pid_file=
log_file={directory}/log/$name.log
mon_cluster_log_file={directory}/log/cluster.log
crash_dir={directory}/log
osd_objectstore=bluestore
# A sparse file: it takes what is written.
bluestore_block_size={store_bytes}
osd_memory_target=1073741824
# What takes time at the start otherwise: each close of the store waits for the poll's end (250 ms,
# some 12 closes), mkfs checks what it made, and a client that came before the store looks for it
# again only after a tick (5 s).
bdev_aio_poll_ms=10
bluestore_fsck_on_mkfs=false
objecter_tick_interval=0.2
paxos_propose_interval=0.02
paxos_min_wait=0.01
mon_data_avail_warn=1
mon_data_avail_crit=1
# What takes time at each request otherwise: eleven objects for each bucket's index, and lines of
# all levels that are kept in memory in case of a crash.
rgw_override_bucket_index_max_shards=1
debug_rgw=0/0
debug_osd=0/0
debug_bluestore=0/0
debug_ms=0/0
# Otherwise deleted data stay for two hours.
rgw_gc_obj_min_wait=1
rgw_gc_processor_period=5
rgw_crypt_s3_kms_backend=testing
rgw_crypt_s3_kms_encryption_keys={kms_key_id}={kms_key}
# Without tcp_nodelay each answer with a body comes 40 ms late: it waits for the client's ACK.
rgw_frontends=beast tcp_nodelay=1 endpoint=127.0.0.1:{http_port} \
ssl_endpoint=127.0.0.1:{https_port} ssl_certificate={certificate} ssl_private_key={key}
"""

_CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "client.rgw.a": {"mon": "allow rw", "osd": "allow rwx"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
}


def _environment() -> dict[str, str]:
    # CEPH_ARGS and CEPH_CONF would reach another cluster; `ceph` is a script of Debian's Python.
    foreign = ("CEPH_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


class Ceph(S3Server):
    """One cluster under `directory`, with ports, an id and keys of its own.

    `store_bytes` bounds what it can hold. Stopped or killed and started again, it has its data.
    """

    def __init__(self, directory: Path, *, store_bytes: int = 8 << 30) -> None:
        super().__init__()
        self.directory = directory
        self._store_bytes = store_bytes
        self._mon_port = free_port()
        self._http_port = free_port()
        self._https_port = free_port()
        self.http = f"http://127.0.0.1:{self._http_port}"
        self.https = f"https://127.0.0.1:{self._https_port}"
        self.ca_file = directory / "ca.pem"
        self._logs = directory / "log"
        self._conf = directory / "ceph.conf"
        self._made = False
        self._processes: list[Process] = []

    def __getstate__(self) -> dict[str, Any]:
        # For another process, which may use it: what runs stays with whom it belongs to.
        return vars(self) | {"_processes": [], "_clients": {}}

    @property
    def pids(self) -> list[int]:
        """Of the monitor, the store and the gateway, as far as they run."""
        return [process.pid for process in self._processes if process.running]

    def start(self) -> None:
        """Start all, and wait until the gateway answers."""
        if self._processes:
            return
        try:
            if not self._made:
                self._make_mon()
            self._start("ceph-mon", "-i", "a")
            if not self._made:
                self._make_osd()
            else:
                # A store that was killed still counts as up: clients would wait 10 s for an
                # answer from where it was, and its data for the end of the leases that it gave.
                self._run("ceph", "osd", "down", "0", "--definitely-dead")
            self._start("ceph-osd", "-i", "0")
            self._start("radosgw", "-n", "client.rgw.a").wait_ready(self._answers)
            if not self._made:
                self._make_user("owner", self.access_key, self.secret_key)
            self._made = True
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        for process in self._processes:
            process.check()
        return is_open(self._http_port) and is_open(self._https_port)

    def _make_mon(self) -> None:
        for part in ("mon", "osd", "rgw", "log"):
            shutil.rmtree(self.directory / part, ignore_errors=True)
            (self.directory / part).mkdir(parents=True)
        certificates = Certificates.create(self.directory)
        fsid = str(uuid.uuid4())
        conf = _CONF.format(
            directory=self.directory,
            fsid=fsid,
            mon_port=self._mon_port,
            store_bytes=self._store_bytes,
            http_port=self._http_port,
            https_port=self._https_port,
            certificate=certificates.certificate,
            key=certificates.key,
            kms_key_id=KMS_KEY_ID,
            kms_key=_KMS_KEY,
        )
        self._conf.write_text(conf)
        keyring = str(self.directory / "keyring")
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, capabilities in _CAPABILITIES.items():
            flags = [part for pair in capabilities.items() for part in ("--cap", *pair)]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *flags)
        monmap = str(self.directory / "monmap")
        address = f"[v2:127.0.0.1:{self._mon_port}]"
        argv = ["--create", "--clobber", "--fsid", fsid, "--addv", "a", address, monmap]
        self._run("monmaptool", *argv)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)

    def _make_osd(self) -> None:
        store = str(uuid.uuid4())
        self._run("ceph", "osd", "new", store, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)

    def _start(self, name: str, *argv: str) -> Process:
        process = Process(
            [name, "-f", "--conf", str(self._conf), *argv],
            log=self._logs / f"{name}.out",
            env=_environment(),
        )
        self._processes.append(process)
        return process

    def _run(self, name: str, *argv: str) -> str:
        return run([name, "--conf", str(self._conf), *argv], env=_environment())

    def _make_user(self, uid: str, access_key: str, secret_key: str) -> None:
        keys = [f"--access-key={access_key}", f"--secret-key={secret_key}"]
        # 0: any number of buckets. Each test makes its own, and there may be more than 1,000.
        naming = [f"--uid={uid}", f"--display-name={uid}", "--max-buckets=0"]
        self._run("radosgw-admin", "user", "create", *naming, *keys)

    def create_user(self, uid: str) -> tuple[str, str]:
        """A further account, which may do nothing in the owner's buckets; its two keys.

        A policy gives it rights: its principal is {"AWS": ["arn:aws:iam:::user/<uid>"]}.
        """
        access_key, secret_key = make_keys()
        self._make_user(uid, access_key, secret_key)
        return access_key, secret_key

    def set_policy(self, bucket: str, policy: Mapping[str, object]) -> None:
        """Set a bucket's policy, as the owner."""
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def stop(self) -> None:
        """SIGTERM to the gateway, the store and the monitor in turn, SIGKILL after 3 s each."""
        for process in reversed(self._processes):
            process.stop(grace=3)
        self._processes.clear()

    def kill(self) -> None:
        """SIGKILL to all."""
        for process in reversed(self._processes):
            process.kill()
        self._processes.clear()
