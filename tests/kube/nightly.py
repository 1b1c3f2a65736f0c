"""A Backup called nightly: of a small shop, to a bucket in Ceph, by access key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import CANARY_PASSWORD
from tests.servers import Ceph, Database
from tests.servers.kubernetes import Object

from .cluster import Cluster
from .jobs import IMAGE
from .running_pod import RunningPod

NAME = "nightly"
JOB, CLEAN_JOB = f"backup-{NAME}", f"clean-{NAME}"
# The double of Dumpling stands still after its first file, until the test lets it go on.
GATE: Object = {"gate": {"after_files": 1, "path": "/tmp/go", "reached": "/tmp/stands"}}
# Not every storage class lets anybody write to a new volume: fsGroup does.
SECURITY: Object = {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532}


def variables(values: Mapping[str, str]) -> list[Object]:
    """spec.env."""
    return [{"name": name, "value": value} for name, value in values.items()]


@dataclass(frozen=True)
class Nightly:
    cluster: Cluster
    database: Database
    store: Ceph
    bucket: str
    schema: str
    double: Path

    def spec(
        self,
        *controls: Object,
        source: Mapping[str, Any] | None = None,
        s3: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Object:
        """What a user would write; `controls` are for the double of Dumpling."""
        values = dict(env or {})
        if controls:
            self.cluster.node.images[IMAGE] = self.double
            values["DUMPLING_DOUBLE"] = json.dumps(list(controls))
        made: Object = {
            "from": self._source() | dict(source or {}),
            "s3": self._s3() | dict(s3 or {}),
            "storageSize": "1Gi",
            "podSecurityContext": SECURITY,
            "tableFilter": [f"{self.schema}.*"],
        }
        if values:
            made["env"] = variables(values)
        return made | more

    def _source(self) -> Object:
        where = {"host": self.database.host, "port": self.database.port}
        return where | {"user": "backup", "secretName": "tidb"}

    def _s3(self) -> Object:
        # Without a scheme, as the operator allows for Ceph.
        where = {"endpoint": self.store.http.removeprefix("http://"), "bucket": self.bucket}
        what = {"provider": "ceph", "region": "us-east-1", "secretName": "s3"}
        return what | where | {"prefix": "nightly"}

    def prepare(self) -> None:
        """Make the schema, the account, and the Secrets."""
        self.database.create_account("backup", CANARY_PASSWORD)
        self.database.execute(f"CREATE SCHEMA {self.schema}")
        self.database.execute(f"CREATE TABLE {self.schema}.orders (id INT PRIMARY KEY, sum INT)")
        self.database.execute(f"INSERT INTO {self.schema}.orders VALUES (1, 20), (2, 30)")
        self.cluster.secret("tidb", password=CANARY_PASSWORD)
        store = self.store
        self.cluster.secret("s3", access_key=store.access_key, secret_key=store.secret_key)

    def start(self, *controls: Object, **changes: Any) -> RunningPod:
        """Apply it, and run the Pod of its Job."""
        self.cluster.apply(NAME, self.spec(*controls, **changes))
        return self.cluster.node.run(JOB)

    @property
    def status(self) -> Object:
        found: Object = self.cluster.backup(NAME).get("status", {})
        return found

    def condition(self, kind: str) -> Object:
        """The condition of a type; empty where there is none."""
        return next((each for each in self.status["conditions"] if kind == each["type"]), {})

    def kinds(self) -> list[str]:
        return [each["type"] for each in self.status["conditions"]]

    def objects(self, prefix: str = "") -> list[str]:
        """What is in the bucket."""
        answer = self.store.client().list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in answer.get("Contents", [])]
