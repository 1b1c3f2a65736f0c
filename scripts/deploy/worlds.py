"""What render makes of a Backup in which each field is given or not, with slots for the values."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from backup_manager.definitions import DEFINITIONS
from backup_manager.render.checking import API_VERSION
from backup_manager.render.fields import BACKUP, SCHEDULE, Fields, Ignored, Kind
from backup_manager.render.mistakes import Mistakes
from backup_manager.render.objects import Options, objects_of
from backup_manager.render.pod import Object
from backup_manager.render.reading import read
from backup_manager.render.wanted import Wanted

# Which switches are on: paths of fields, variables of spec.env, and what else there is.
World = frozenset[str]

# Of fields that say which kind of backup is wanted; there is only one.
WITHOUT_A_MEANING = frozenset({"backupType", "backupMode"})
# A switch that is on where a boolean is true; its path alone: where it is given.
TRUE = "=true"
VARIABLE = "env:"
SCHEDULED, ACCOUNT, TTL = "schedule", "createServiceAccount", "ttlSecondsAfterFinished"
ACCOUNT_ANNOTATIONS = "serviceAccountAnnotations"
# A value's place: whether it is a number or one of several; dollars show what was escaped.
SLOT = re.compile(r"«(?P<number>#?)(?P<dollars>\$*)(?P<path>[A-Za-z0-9.]+)(?P<many>(\[\])?)»")
_FIRST_NUMBER = 7_000_001
# What is made of a Job, whether a CronJob or nobody makes that.
JOB_SPEC = "jobSpec"


def fields_in(fields: Fields, path: str = "") -> Iterator[tuple[str, Kind]]:
    """Yield the paths of the fields that have a meaning, with what each has to be."""
    for name, kind in fields.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(kind, Mapping):
            yield from fields_in(kind, inner)
        elif not isinstance(kind, Ignored) and inner not in WITHOUT_A_MEANING:
            yield inner, kind


_OF_BACKUP = dict(fields_in(BACKUP))
_OF_SCHEDULE = {
    path: kind
    for path, kind in fields_in({**SCHEDULE, "backupTemplate": {}})
    if path not in _OF_BACKUP and path != SCHEDULED
}
FIELDS: dict[str, Kind] = {
    **_OF_BACKUP,
    **_OF_SCHEDULE,
    "labels": Kind.OBJECT,
    "annotations": Kind.OBJECT,
    ACCOUNT_ANNOTATIONS: Kind.OBJECT,
    TTL: Kind.NUMBER,
}
_NUMBERS = {
    str(_FIRST_NUMBER + number): path
    for number, path in enumerate(path for path, kind in FIELDS.items() if kind is Kind.NUMBER)
}
VARIABLES = sorted(
    {name for one in DEFINITIONS for name in (one.own_variable, one.variable) if name}
)
FULL: World = frozenset(
    {
        SCHEDULED,
        ACCOUNT,
        *FIELDS,
        *(f"{path}{TRUE}" for path, kind in FIELDS.items() if kind is Kind.BOOLEAN),
    }
)
# Whether a boolean is true tells more than whether it is given, so that is tried before.
SWITCHES = [
    *sorted(FULL, key=lambda name: (not name.endswith(TRUE), name)),
    *(f"{VARIABLE}{name}" for name in VARIABLES),
]


def slot(path: str) -> str:
    """Return the place of a text; its dollar sign shows whether render escapes it."""
    return f"«${path}»"


def _value(path: str, kind: Kind, world: World) -> Any:
    if kind is Kind.NUMBER:
        return next(int(number) for number, other in _NUMBERS.items() if other == path)
    return {
        Kind.TEXT: slot(path),
        Kind.BOOLEAN: f"{path}{TRUE}" in world,
        Kind.TEXTS: [slot(f"{path}[]")],
        Kind.OBJECT: {slot(path): ""},
        Kind.LIST: [{"name": slot(path)}],
    }[kind]


def _spec(fields: Mapping[str, Kind], world: World, zeros: frozenset[str]) -> Object:
    made: Object = {}
    for path, kind in fields.items():
        if path in world:
            *around, name = path.split(".")
            inner = made
            for step in around:
                inner = inner.setdefault(step, {})
            inner[name] = 0 if path in zeros else _value(path, kind, world)
    return made


def wanted_of(world: World, zeros: frozenset[str] = frozenset()) -> Wanted:
    """Return the object in whose fields there are slots, or zero where that is asked for."""
    backup = _spec(_OF_BACKUP, world, zeros)
    given = [name.removeprefix(VARIABLE) for name in world if name.startswith(VARIABLE)]
    backup["env"] = [*backup.get("env", []), *({"name": name, "value": ""} for name in given)]
    metadata = {"name": slot("name"), "namespace": slot("namespace")}
    for name in ("labels", "annotations"):
        if name in world:
            metadata[name] = _value(name, FIELDS[name], world)
    spec = backup
    if SCHEDULED in world:
        schedule = _spec(_OF_SCHEDULE, world, zeros)
        spec = schedule | {"schedule": slot(SCHEDULED), "backupTemplate": backup}
    kind = "BackupSchedule" if SCHEDULED in world else "Backup"
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return wanted_in(body)


def wanted_in(body: Object) -> Wanted:
    """Return what an object asks for, as if it had been read from a file."""
    (document,) = read("slots", json.dumps(body).encode(), Mistakes())
    return Wanted(document)


def _options(world: World, zeros: frozenset[str]) -> Options:
    seconds = 0 if TTL in zeros else _value(TTL, Kind.NUMBER, world)
    return Options(
        image=slot("image"),
        rbac=ACCOUNT in world,
        ttl_seconds=seconds if TTL in world else None,
    )


@cache
def objects(world: World, zeros: frozenset[str] = frozenset()) -> list[Object]:
    """Return what render makes, and Helm's own marks; what is in a Job comes last, by itself."""
    made = objects_of(wanted_of(world, zeros), _options(world, zeros))
    for each in made:
        _mark(each, world)
    workload = made[-1]
    holder = workload["spec"]["jobTemplate"] if SCHEDULED in world else workload
    job = holder["spec"]
    holder["spec"] = slot(JOB_SPEC)
    container = job["template"]["spec"]["containers"][0]
    # They are here for what they take the place of.
    container["env"] = [one for one in container["env"] if f"{VARIABLE}{one['name']}" not in world]
    text = json.dumps([*made, {"kind": JOB_SPEC, "spec": job}], ensure_ascii=False)
    for number, path in _NUMBERS.items():
        text = text.replace(f"={number}", f"=«#{path}»").replace(number, f'"«#{path}»"')
    found: list[Object] = json.loads(text)
    return found


def _mark(made: Object, world: World) -> None:
    """Say that Helm has it; a volume outlives its release, as a dump may wait on it."""
    metadata = made["metadata"]
    metadata["labels"] |= {
        "app.kubernetes.io/managed-by": slot("service"),
        "helm.sh/chart": slot("chart"),
    }
    if made["kind"] == "PersistentVolumeClaim":
        metadata["annotations"] = {"helm.sh/resource-policy": "keep"}
    if made["kind"] == "ServiceAccount" and ACCOUNT_ANNOTATIONS in world:
        metadata["annotations"] = _value(ACCOUNT_ANNOTATIONS, Kind.OBJECT, world)


@cache
def takes_zero(path: str) -> bool:
    """Tell whether a zero is something else than no number."""
    return objects(FULL, frozenset({path})) != objects(FULL - {path})
