"""A Pod's volumes as the kubelet prepares them on the node: content, owner and mode."""

import base64
import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.kubernetes import Client, Object

from .paths import core

_numbers = itertools.count(1)


class NotMountedError(Exception):
    """What a volume is made of is not there."""


@dataclass(frozen=True)
class Owner:
    """Who the Pod's security context lets have the files.

    `always`: fsGroupChangePolicy, by default Always. Each file is then given anew at each start.
    """

    user: int | None = None
    group: int | None = None
    always: bool = True


def claimed(node: Path, claim: str) -> Path:
    """What a claim is bound to; new, it is root's, as a file system just made."""
    path = node / "claims" / claim
    path.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class File:
    data: bytes
    token: bool = False


def write_payload(directory: Path, files: Mapping[str, File], owner: Owner) -> None:
    """Put all files in place at once, also over others: each name leads through one link."""
    fresh = directory / f"..{next(_numbers)}"
    fresh.mkdir(parents=True)
    for name, file in files.items():
        path = fresh / name
        path.write_bytes(file.data)
        private = file.token and (owner.user, owner.group) != (None, None)
        mode = 0o600 if private else 0o644
        path.chmod(mode if owner.group is None else mode | 0o440)
        os.chown(path, (owner.user or 0) if file.token else 0, owner.group or 0)
    link = directory / "..new"
    link.symlink_to(fresh.name)
    link.rename(directory / "..data")
    for name in files:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")


def give(directory: Path, owner: Owner) -> None:
    """Let the group write to a volume that is there already, as fsGroup says."""
    if owner.group is None or (not owner.always and _is_given(directory, owner.group)):
        return
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, -1, owner.group)
            more = 0o2770 if path.is_dir() else 0o660
            path.chmod(path.stat().st_mode & 0o7777 | more)


def _is_given(directory: Path, group: int) -> bool:
    found = directory.stat()
    return group == found.st_gid and 0o2770 == found.st_mode & 0o2770


def secret_files(client: Client, namespace: str, name: str) -> dict[str, File]:
    found = client.find(core(namespace, "secrets", name))
    if found is None:
        raise NotMountedError(f'secret "{name}" not found')
    data = found.get("data", {})
    return {key: File(base64.b64decode(value)) for key, value in data.items()}


def projected_files(
    client: Client, pod: Object, sources: list[Object], token: str
) -> dict[str, File]:
    """The files of a projected volume of the kinds that stand beside a token."""
    namespace = pod["metadata"]["namespace"]
    files: dict[str, File] = {}
    for source in sources:
        if asked := source.get("serviceAccountToken"):
            files[asked["path"]] = File(token.encode(), token=True)
        elif asked := source.get("configMap"):
            found = client.find(core(namespace, "configmaps", asked["name"]))
            if found is None:
                raise NotMountedError(f'configmap "{asked["name"]}" not found')
            for item in asked["items"]:
                files[item["path"]] = File(found["data"][item["key"]].encode())
        else:
            for item in source["downwardAPI"]["items"]:
                files[item["path"]] = File(field(pod, item["fieldRef"]["fieldPath"]).encode())
    return files


def field(pod: Object, path: str) -> str:
    """One of the Pod's own fields, such as metadata.namespace or metadata.labels['app']."""
    if chosen := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        # What is not there is empty.
        return str(pod["metadata"].get(chosen[1], {}).get(chosen[2], ""))
    value = pod
    for name in path.split("."):
        value = value[name]
    return str(value)
