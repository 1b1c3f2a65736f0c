"""The Helm chart, but for what is written by hand: values.yaml, the helpers and the notes."""

import json
from typing import Any

from backup_manager import __version__
from backup_manager.render.fields import Kind
from backup_manager.store.providers import PROVIDERS

from .gotemplate import named_template, template
from .tree import whole
from .worlds import ACCOUNT, FIELDS, JOB_SPEC, SCHEDULED, WITHOUT_A_MEANING

_CARD = f"""\
# Made by `make deploy`.
apiVersion: v2
name: backup-manager
description: Full logical backups of a TiDB cluster to S3-compatible storage, with Dumpling
type: application
version: {__version__}
appVersion: "{__version__}"
# Of before, Jobs do not label their Pods with batch.kubernetes.io/job-name.
kubeVersion: ">=1.27.0-0"
"""
_TEXT: dict[str, Any] = {"type": "string"}
_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: _TEXT,
    Kind.NUMBER: {"type": ["integer", "null"], "minimum": 0},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.TEXTS: {"type": "array", "items": _TEXT},
    Kind.OBJECT: {"type": "object"},
    Kind.LIST: {"type": "array", "items": {"type": "object"}},
}
_DURATION = {"pattern": r"^(\+?([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$"}
_VARIABLE = {
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "value": _TEXT,
        "valueFrom": {"type": "object"},
    },
}
_NAMED_TEXTS = {"additionalProperties": _TEXT}
# What a type does not tell, and render would.
_NARROWER: dict[str, dict[str, Any]] = {
    "annotations": _NAMED_TEXTS,
    "env": {"items": {"type": "object"} | _VARIABLE},
    "from.port": {"maximum": 65535},
    "labels": _NAMED_TEXTS,
    "maxReservedTime": _DURATION,
    "s3.provider": {"enum": ["", *PROVIDERS]},
    "serviceAccountAnnotations": _NAMED_TEXTS,
    "tikvGCLifeTime": _DURATION,
}
# The chart's own, beside what a Backup and a BackupSchedule have.
_OWN: dict[str, dict[str, Any]] = {
    "fullnameOverride": _TEXT,
    "image": {"type": "string", "pattern": r"^\S*$"},
    SCHEDULED: _TEXT,
    ACCOUNT: {"type": "boolean"},
    # Helm's: what a chart hands to those below it.
    "global": {"type": "object"},
}


def files() -> dict[str, str]:
    """Return the chart's generated files by their paths in it."""
    tree = whole()
    objects = dict(tree.children)
    job = objects.pop(JOB_SPEC).children["spec"]
    return {
        "Chart.yaml": _CARD,
        "values.schema.json": json.dumps(_schema(), indent=2, ensure_ascii=False) + "\n",
        f"templates/_{JOB_SPEC.lower()}.tpl": named_template(JOB_SPEC, job),
        **{f"templates/{kind.lower()}.yaml": template(node) for kind, node in objects.items()},
    }


def _object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _schema() -> dict[str, Any]:
    """Refuse what is misspelt, or of another type, as render does."""
    root = {"$schema": "http://json-schema.org/draft-07/schema#"} | _object()
    found = {path: _TYPES[kind] | _NARROWER.get(path, {}) for path, kind in FIELDS.items()}
    # A Backup that is pasted may say them; there is one kind only.
    single = {path: {"enum": ["", "full", "snapshot"]} for path in sorted(WITHOUT_A_MEANING)}
    for path, schema in (_OWN | found | single).items():
        *around, name = path.split(".")
        inner = root
        for step in around:
            inner = inner["properties"].setdefault(step, _object())
        inner["properties"][name] = schema
    nested = [name for name, one in root["properties"].items() if "properties" in one]
    return root | {"required": sorted(nested)}
