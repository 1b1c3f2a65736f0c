"""One Backup object and its events at the Kubernetes API; lightkube speaks to it.

The object goes through as the plain dict that the API gave: what others wrote into it comes back
as it was. lightkube reads the token's file anew when the API answers 401, so one that rotates
during a long backup does no harm.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import yaml  # type: ignore[import-untyped]  # it has no annotations
from lightkube import ApiError, Client, ConfigError, KubeConfig
from lightkube.generic_resource import create_namespaced_resource

from backup_manager.errors import KubernetesError

GROUP, VERSION, KIND = "pingcap.com", "v1alpha1", "Backup"
# Where a Pod finds what its ServiceAccount may use.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_SECONDS = 10.0
_GUIDE = "docs/kubernetes.md tells the least role"

_Backup = create_namespaced_resource(GROUP, VERSION, KIND, "backups")
_Event = create_namespaced_resource("", "v1", "Event", "events")

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY, INTERNAL = 401, 403, 404, 409, 429, 500


class BackupApi:
    """The calls on one Backup object. Every method raises KubernetesError."""

    def __init__(self, name: str, namespace: str | None) -> None:
        """``namespace``: None for that of the Pod, or of the kubeconfig's context.

        Raises KubernetesError where there is no cluster to be found.
        """
        config = _config()
        try:
            self._client = Client(config, timeout=httpx2.Timeout(_TIMEOUT_SECONDS), trust_env=False)
        except (OSError, ConfigError, AssertionError) as error:
            raise _no_cluster(str(error)) from error
        self.name = name
        self.namespace = namespace or str(self._client.namespace)
        self.server = self._client.config.cluster.server

    def __str__(self) -> str:
        return f"Backup {self.namespace}/{self.name}"

    def read(self) -> dict[str, Any]:
        """Return the object."""
        with self._calling("get"):
            return _plain(self._client.get(_Backup, self.name, namespace=self.namespace))

    def write(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Replace the object, if it is still of the body's resourceVersion; return the new one.

        ``dry_run``: have the API only say what it would do.
        """
        with self._calling("update"):
            replaced = self._client.replace(
                _Backup.from_dict(dict(body)), self.name, namespace=self.namespace, dry_run=dry_run
            )
            return _plain(replaced)

    def create_event(self, body: Mapping[str, Any], *, dry_run: bool = False) -> None:
        with self._calling("create", "events", ""):
            self._client.create(
                _Event.from_dict(dict(body)), namespace=self.namespace, dry_run=dry_run
            )

    @contextmanager
    def _calling(self, verb: str, resource: str = "backups", group: str = GROUP) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            raise self._answered(error, verb, resource, group) from error
        except httpx2.HTTPStatusError as error:
            status = error.response.status_code
            if status == NOT_FOUND:
                # "404 page not found", as text: there is no such kind of object.
                raise self._not_found(error.response.text.strip()) from error
            why = f"it answers {status} with what is no Status: something stands in between"
            raise self._away(why, status) from error
        except httpx2.HTTPError as error:
            raise self._away(str(error) or type(error).__name__) from error
        except (OSError, ConfigError) as error:
            raise self._away(str(error)) from error
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise self._away(f"its answer cannot be read: {error}") from error

    def _answered(self, error: ApiError, verb: str, resource: str, group: str) -> KubernetesError:
        said = " ".join((error.status.message or "").split())
        status = error.response.status_code
        whose = f"{resource}{f' of {group}' if group else ''} in namespace {self.namespace}"
        if status == NOT_FOUND:
            return self._not_found(said)
        if status == FORBIDDEN:
            return KubernetesError(
                f"the Kubernetes API does not let us {verb} {resource} in namespace "
                f"{self.namespace}",
                why=said,
                fix=f"give the Pod's ServiceAccount the verb {verb} on {whose}: {_GUIDE}",
                status=status,
            )
        if status == UNAUTHORIZED:
            return KubernetesError(
                f"the Kubernetes API at {self.server} does not accept our token",
                why=said,
                fix="see whether the Pod's ServiceAccount is still there",
                status=status,
            )
        if status == TOO_MANY or status >= INTERNAL:
            return self._away(f"it answers {status}: {said}", status)
        return KubernetesError(
            f"the Kubernetes API refuses to {verb} {self}", why=said, status=status
        )

    def _not_found(self, said: str) -> KubernetesError:
        if f'"{self.name}"' not in said:
            return KubernetesError(
                "this cluster knows no Backup objects",
                why=said,
                fix="install TiDB Operator's CRDs, or give the settings by flags, without "
                "--backupName",
                status=NOT_FOUND,
            )
        return KubernetesError(
            f"there is no {self}",
            why=said,
            fix=f"see kubectl get backups --namespace {self.namespace}; it may have been deleted",
            status=NOT_FOUND,
        )

    def _away(self, why: str, status: int = 0) -> KubernetesError:
        return KubernetesError(
            f"the Kubernetes API at {self.server} does not answer as it should",
            why=why,
            fix="see whether the Pod reaches it: its network policy, and the API server itself",
            status=status,
        )


def passing(error: KubernetesError) -> bool:
    """Tell whether the same call may well succeed a little later."""
    return error.status in {0, TOO_MANY} or error.status >= INTERNAL


def _config() -> KubeConfig:
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and SERVICE_ACCOUNT.joinpath("token").exists():
            return KubeConfig.from_service_account(SERVICE_ACCOUNT)
        if path := os.environ.get("KUBECONFIG"):
            return KubeConfig.from_file(path)
    except (OSError, ConfigError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _no_cluster(str(error)) from error
    except yaml.YAMLError as error:
        raise _no_cluster(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    raise _no_cluster(
        f"there is no ServiceAccount's token in {SERVICE_ACCOUNT}, and KUBECONFIG is not set"
    )


def _no_cluster(why: str) -> KubernetesError:
    return KubernetesError(
        "--backupName names an object of a cluster, and no cluster can be reached from here",
        why=why,
        fix="run it in a Pod whose ServiceAccount's token is mounted, or set KUBECONFIG",
    )


def _plain(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise msgspec.DecodeError("an object without metadata")
    return dict(body)
