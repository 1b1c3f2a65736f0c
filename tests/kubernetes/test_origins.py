"""Each setting that an object says: flag, then BACKUP_MANAGER_*, then the operator's, then it."""

import shlex
from dataclasses import dataclass
from typing import Any

from .conftest import Apply, MakeJob


@dataclass(frozen=True)
class Origins:
    """One setting's texts: of the flag, of our own variable, and of the operator's if it has one.

    `field` is the object's text, `path` where it is said.
    """

    flag: str
    own: str
    field: str
    path: str
    operators: tuple[str, str] | None = None
    repeated: bool = False

    def shown(self, text: str, origin: str) -> str:
        return f"{shlex.quote(text) if self.repeated else text} {origin}"


SETTINGS = {
    "host": Origins("a.example.com", "b.example.com", "d.example.com", "spec.from.host"),
    "port": Origins("4001", "4002", "4004", "spec.from.port"),
    "user": Origins("ann", "ben", "dan", "spec.from.user"),
    "provider": Origins(
        "minio", "seaweedfs", "other", "spec.s3.provider", ("S3_PROVIDER", "ceph")
    ),
    "endpoint": Origins(
        "https://a:1", "https://b:2", "https://d:4", "spec.s3.endpoint", ("S3_ENDPOINT", "http://c")
    ),
    "region": Origins("r-1", "r-2", "r-4", "spec.s3.region", ("AWS_REGION", "r-3")),
    "bucket": Origins("bucket-1", "bucket-2", "bucket-4", "spec.s3.bucket"),
    "prefix": Origins("p1", "p2", "p4", "spec.s3.prefix"),
    "storage-class": Origins(
        "ONE", "TWO", "FOUR", "spec.s3.storageClass", ("AWS_STORAGE_CLASS", "THREE")
    ),
    "acl": Origins(
        "bucket-owner-read", "authenticated-read", "public-read-write", "spec.s3.acl",
        ("AWS_ACL", "public-read"),
    ),
    "sse": Origins("AES256", "aws:kms", "aws:kms:dsse", "spec.s3.sse"),
    "s3-option": Origins(
        "--s3-chunk-size=61M", "--s3-chunk-size=62M", "--s3-chunk-size=64M", "spec.s3.options",
        repeated=True,
    ),
    "s3-addressing": Origins("virtual", "path", "virtual", "spec.s3.forcePathStyle"),
    "table-filter": Origins("a.*", "b.*", "d.*", "spec.tableFilter", repeated=True),
    "dumpling-option": Origins(
        "--threads=1", "--threads=2", "--threads=4", "spec.dumpling.options", repeated=True
    ),
    "gc-life-time": Origins("81h", "82h", "84h", "spec.tikvGCLifeTime"),
    "schedule": Origins(
        "weekly", "monthly", "nightly", "label tidb.pingcap.com/backup-schedule"
    ),
}  # fmt: skip
# Of these the object always says something.
ITS_OWN = {"name": ("by-flag", "by-variable"), "owner-uid": ("uid-1", "uid-2")}


def spec_of_all() -> dict[str, Any]:
    said = {name: each.field for name, each in SETTINGS.items()}
    return {
        "from_": {"host": said["host"], "port": int(said["port"]), "user": said["user"]},
        "s3": {
            "provider": said["provider"],
            "endpoint": said["endpoint"],
            "region": said["region"],
            "bucket": said["bucket"],
            "prefix": said["prefix"],
            "storageClass": said["storage-class"],
            "acl": said["acl"],
            "sse": said["sse"],
            "options": [said["s3-option"]],
            "forcePathStyle": False,
        },
        "tableFilter": [said["table-filter"]],
        "dumpling": {"options": [said["dumpling-option"]]},
        "tikvGCLifeTime": said["gc-life-time"],
        "schedule": said["schedule"],
    }


def variable(name: str) -> str:
    return f"BACKUP_MANAGER_{name.upper().replace('-', '_')}"


def test_each_goes_before_all_that_follow(put: Apply, job: MakeJob) -> None:
    """Level by level, with all that is below still there."""
    uid = put(**spec_of_all())["metadata"]["uid"]
    cleared = {"S3_PROVIDER": "", "S3_ENDPOINT": "", "AWS_REGION": ""}
    by_object = job(bucket=None, after=[], environment=cleared)
    theirs = dict(each.operators for each in SETTINGS.values() if each.operators)
    by_operator = by_object.but(environment=theirs)
    own = {variable(name): each.own for name, each in SETTINGS.items()}
    own |= {variable(name): text for name, (_, text) in ITS_OWN.items()}
    by_variable = by_operator.but(environment=own)
    flags = {name: each.flag for name, each in SETTINGS.items()}
    flags |= {name: text for name, (text, _) in ITS_OWN.items()}
    by_flag = by_variable.but(**{name.replace("-", "_"): text for name, text in flags.items()})

    of_fields = {name: each.shown(each.field, each.path) for name, each in SETTINGS.items()}
    metadata = {"name": f"{by_object.settings['backupName']} metadata.name"}
    of_fields |= metadata | {"owner-uid": f"{uid} metadata.uid"}
    of_operator = of_fields | {
        name: each.shown(each.operators[1], each.operators[0])
        for name, each in SETTINGS.items()
        if each.operators
    }
    of_own = {name: each.shown(each.own, variable(name)) for name, each in SETTINGS.items()}
    of_own |= {name: f"{text} {variable(name)}" for name, (_, text) in ITS_OWN.items()}
    of_flags = {name: each.shown(each.flag, f"--{name}") for name, each in SETTINGS.items()}
    of_flags |= {name: f"{text} --{name}" for name, (text, _) in ITS_OWN.items()}
    levels = [
        (by_object, of_fields),
        (by_operator, of_operator),
        (by_variable, of_own),
        (by_flag, of_flags),
    ]
    for made, expected in levels:
        settings = made.shown().settings
        # Whether there are more of Dumpling's options after -- is test_settings' to say.
        told = {name: settings[name].removesuffix(", and after --") for name in expected}
        assert expected == told


def test_an_empty_variable_leaves_it_to_the_object(put: Apply, job: MakeJob) -> None:
    """The operator passes an empty text for whatever is unset."""
    put(**spec_of_all())
    empty = {each.operators[0]: "" for each in SETTINGS.values() if each.operators}
    empty |= {variable(name): "" for name in (*SETTINGS, *ITS_OWN)}

    settings = job(bucket=None, environment=empty).shown().settings

    expected = {name: each.path for name, each in SETTINGS.items() if name != "dumpling-option"}
    assert expected == {name: settings[name].split(" ", 1)[1] for name in expected}
