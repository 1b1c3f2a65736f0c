"""The kustomize base: the flags that render makes become variables, for an overlay to set.

Beside it are components, for what is more than a setting.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from backup_manager import __version__
from backup_manager.commandline import help_of
from backup_manager.definitions import DEFINITIONS
from backup_manager.kubernetes.spec import SCHEDULE_LABEL
from backup_manager.render.checking import API_VERSION
from backup_manager.render.objects import Options, objects_of
from backup_manager.render.output import as_yaml
from backup_manager.render.pod import Object

from .worlds import FULL, JOB_SPEC, objects, wanted_in

_NAME = "tidb-backup"
_SETTINGS = "backup-settings"
_IMAGE = f"backup-manager:{__version__}"
_MADE = "# Made by `make deploy` of what render makes: change that, and not this.\n"
# What the objects' Backup has; all else is said by variables.
_TEMPLATE: Object = {
    "from": {"secretName": "backup-tidb"},
    "s3": {"secretName": "backup-s3"},
}
# What a component is for, and in what its template is another one.
_COMPONENTS: dict[str, tuple[str, Object]] = {
    "role": ("Without a Secret with keys: the store takes the role of the Pod", {"s3": {}}),
    "client-tls": (
        "TLS with the database, by the Secret backup-tidb-client-tls",
        {"from": {**_TEMPLATE["from"], "tlsClientSecretName": "backup-tidb-client-tls"}},
    ),
    "dumpling": ("The Dumpling of an image of its own", {"toolImage": "pingcap/dumpling"}),
}
_OF_FLAGS = {f"--{one.flag}": one for one in DEFINITIONS}
_SCHEDULE = "--schedule"
_HEAD = """\
# Settings of the backup: an overlay has a file like this one, with what it sets. A value goes to
# the end of its line, without quotes. --help and docs/settings.md have them all; those below are
# what a BackupSchedule can say. What has several lines has a file of its own: see ../example.
"""


def files() -> dict[str, str]:
    """Return the files of the base and of the components."""
    claim, cron_job = _objects(_TEMPLATE)
    made = {
        "persistentvolumeclaim.yaml": claim,
        "cronjob.yaml": cron_job,
        "names.yaml": _names(claim, cron_job),
        "kustomization.yaml": {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["persistentvolumeclaim.yaml", "cronjob.yaml"],
            "configMapGenerator": [{"name": _SETTINGS, "envs": ["settings.env"]}],
            "configurations": ["names.yaml"],
        },
    }
    texts = {f"base/{name}": _MADE + as_yaml(body) for name, body in made.items()}
    texts["base/settings.env"] = _MADE + _HEAD + "".join(_settings())
    for name, (meaning, changes) in _COMPONENTS.items():
        patch = _difference(cron_job, _objects(_TEMPLATE | changes)[1])
        component = {
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "patches": [{"path": "cronjob.yaml"}],
        }
        texts[f"{name}/kustomization.yaml"] = f"{_MADE}# {meaning}.\n{as_yaml(component)}"
        texts[f"{name}/cronjob.yaml"] = _MADE + as_yaml(patch)
    return texts


def _objects(template: Object) -> list[Object]:
    body = {
        "apiVersion": API_VERSION,
        "kind": "BackupSchedule",
        "metadata": {"name": _NAME},
        "spec": {"schedule": "0 2 * * *", "backupTemplate": template},
    }
    claim, cron_job = objects_of(wanted_in(body), Options(_IMAGE))
    _take_settings_from_variables(_container(cron_job))
    return [claim, cron_job]


def _pod(cron_job: Object) -> Object:
    spec: Object = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def _container(cron_job: Object) -> Object:
    container: Object = _pod(cron_job)["containers"][0]
    return container


def _take_settings_from_variables(container: Object) -> None:
    words = container["args"]
    # What the Job says of itself stays.
    settings = [word for word in words if word.startswith("--") and "$(" not in word]
    container["args"] = [word for word in words if word not in settings]
    for word in settings:
        flag, _, value = word.partition("=")
        variable: Object = {"name": _OF_FLAGS[flag].own_variable, "value": value or "true"}
        if flag == _SCHEDULE:
            # A name that gets a prefix is another schedule: its label follows, see ``_names``.
            path = f"metadata.labels['{SCHEDULE_LABEL}']"
            variable = variable | {"valueFrom": {"fieldRef": {"fieldPath": path}}}
            del variable["value"]
        container["env"].append(variable)
    container["envFrom"] = [{"configMapRef": {"name": _SETTINGS}}]


def _names(*made: Object) -> Object:
    """Have kustomize treat labels with the name as it does the name: prefixes reach them too."""
    specs = [
        {"kind": each["kind"], "path": path}
        for each in made
        for path in _labels_with_the_name(each)
    ]
    return {"nameReference": [{"group": "batch", "kind": "CronJob", "fieldSpecs": specs}]}


def _labels_with_the_name(body: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in body.items():
        inner = f"{path}/{key.replace('/', chr(92) + '/')}".lstrip("/")
        if isinstance(value, Mapping):
            yield from _labels_with_the_name(value, inner)
        elif path.endswith("labels") and value == _NAME:
            yield inner


def _difference(old: Object, new: Object) -> Object:
    """Return the patch that makes the one of the other; they differ in lists of named items."""
    container = {"name": _container(old)["name"]} | _changed(_container(old), _container(new))
    pod = _changed(_pod(old), _pod(new), but="containers") | {"containers": [container]}
    return {
        "apiVersion": old["apiVersion"],
        "kind": old["kind"],
        "metadata": {"name": _NAME},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }


def _changed(old: Object, new: Object, but: str = "") -> Object:
    found: Object = {}
    for key in (old | new).keys() - {but}:
        if old.get(key) == new.get(key):
            continue
        before, after = old.get(key, []), new.get(key, [])
        names = {one["name"] for one in after}
        gone = [one["name"] for one in before if one["name"] not in names]
        found[key] = [one for one in after if one not in before]
        found[key] += [{"name": name, "$patch": "delete"} for name in gone]
    return dict(sorted(found.items()))


def _settings() -> Iterator[str]:
    """Yield each setting that a BackupSchedule can say: what it is, and its variable."""
    job = next(each["spec"] for each in objects(FULL) if each["kind"] == JOB_SPEC)
    words = job["template"]["spec"]["containers"][0]["args"]
    flags = dict.fromkeys(
        word.partition("=")[0] for word in words if "=" in word and "$(" not in word
    )
    for flag in flags:
        if flag != _SCHEDULE:
            definition = _OF_FLAGS[flag]
            yield f"\n# {help_of(definition)}\n#{definition.own_variable}=\n"
