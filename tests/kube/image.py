"""This repository as its image: what the Dockerfile says, laid out in a new mount namespace."""

import json
import re
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.command import ROOT
from tests.servers.process import program

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VIRTUALENV = "/opt/backup-manager"  # the image's; here it is where this Python runs
# What an engine leaves to the root of a container.
_CAPABILITIES = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service"
_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Confinement:
    """What a container's own security context takes away.

    Not its seccomp profile: the engine brings that, and there is none here.
    """

    read_only_root: bool = False
    no_capabilities: bool = False
    no_new_privileges: bool = False


@dataclass(frozen=True)
class Settings:
    """What the Dockerfile's last stage sets."""

    environment: dict[str, str]
    user: User
    entrypoint: list[str]


_FREE = Confinement()


@cache
def settings() -> Settings:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stage = re.split(r"(?m)^FROM ", text)[-1]
    values: dict[str, str] = {"PATH": _PATH}
    for line in re.findall(r"(?m)^ENV (.*)$", stage):
        for word in shlex.split(line):
            name, _, value = word.partition("=")
            values[name] = value.replace(f"${name}", values.get(name, ""))
    values["PATH"] = values["PATH"].replace(_VIRTUALENV, sys.prefix)
    uid, gid = re.findall(r"(?m)^USER (\d+):(\d+)$", stage)[-1]
    entrypoint = json.loads(re.findall(r"(?m)^ENTRYPOINT (.*)$", stage)[-1])
    return Settings(values, User(int(uid), int(gid)), entrypoint)


def contained(
    root: Path,
    hostname: str,
    user: User,
    mounts: Iterable[Mount],
    command: Sequence[str],
    confinement: Confinement = _FREE,
) -> list[str]:
    """The command as PID 1 in namespaces of its own, with a root that has only these mounts.

    `root` is an empty directory. It dies when its parent does, and all mounts go with it.
    """
    lines = ["set -eu", *_layout(str(root), hostname, mounts)]
    if confinement.read_only_root:
        lines.append("mount -o remount,bind,ro .")  # what is mounted in it stays as it is
    script = "\n".join([*lines, _become(root, user, confinement)])
    namespaces = ["--mount", "--pid", "--uts", "--fork", "--kill-child"]
    dying = [program("setpriv"), "--pdeathsig", "KILL", "--"]
    shell = ["/bin/sh", "-c", script, "sh", *command]
    return [*dying, program("unshare"), *namespaces, "--", *shell]


def _become(root: Path, user: User, confinement: Confinement) -> str:
    groups = ",".join(str(group) for group in (user.gid, *user.groups))
    left = [] if confinement.no_capabilities else _CAPABILITIES.split(",")
    bounding = ",".join(["-all", *(f"+{name}" for name in left)])
    no_more = " --no-new-privs" if confinement.no_new_privileges else ""
    # A change of the user disarms the signal that --kill-child has set.
    return (
        f"exec chroot {shlex.quote(str(root))} setpriv --pdeathsig=KILL"
        f" --reuid={user.uid} --regid={user.gid} --groups={groups}"
        f' --inh-caps=-all --bounding-set={bounding}{no_more} -- "$@"'
    )


def _layout(root: str, hostname: str, mounts: Iterable[Mount]) -> Iterator[str]:
    at = shlex.quote(root)
    yield f"hostname {shlex.quote(hostname)}"
    yield f"mount -t tmpfs -o mode=755 tmpfs {at}"
    yield f"cd {at}"
    yield "mkdir -m 1777 tmp; mkdir proc dev dev/shm run var; ln -s ../run var/run"
    yield "mount -t proc proc proc; mount -t tmpfs -o mode=1777 tmpfs dev/shm"
    yield "ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout"
    yield "ln -s fd/2 dev/stderr"
    system = [Path("/", name) for name in ("usr", "bin", "sbin", "lib", "lib64", "etc", "sys")]
    for path in system:
        if path.is_symlink():
            yield f"ln -s {path.readlink()} .{path}"
        elif path.exists():
            yield from _bind(Mount(path, str(path), read_only=True))
    for device in _DEVICES:
        yield from _bind(Mount(Path("/dev", device), f"/dev/{device}"))
    yield from _bind(Mount(ROOT / "entrypoint.sh", "/entrypoint.sh", read_only=True))
    for mount in mounts:
        yield from _bind(mount)
    # Last, since they may lie in what a Pod mounts: a clone of this below /tmp.
    for tree in _trees():
        yield from _bind(Mount(tree, str(tree), read_only=True))


def _trees() -> list[Path]:
    """This program and its Python, wherever they are: a user who may not go there sees them."""
    trees = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT]
    outer = [tree for tree in trees if not tree.is_relative_to("/usr")]
    return [tree for tree in outer if not any(tree != o and tree.is_relative_to(o) for o in outer)]


def _bind(mount: Mount) -> Iterator[str]:
    # Relative: a path's links lead somewhere in the new root.
    source, target = shlex.quote(str(mount.source)), shlex.quote(f".{mount.target}")
    if stat.S_ISDIR(mount.source.stat().st_mode):
        yield f"mkdir -p {target}"
    else:
        yield f"mkdir -p {shlex.quote(str(Path(f'.{mount.target}').parent))}; : >{target}"
    yield f"mount --bind {source} {target}"
    if mount.read_only:
        yield f"mount -o remount,bind,ro {target}"
