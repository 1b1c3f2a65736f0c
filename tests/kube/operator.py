"""TiDB Operator v1.6 for Backups of one namespace: each call does all that is due now.

What it makes is in jobs.py. Its wait before it tries again (backoffRetryPolicy) is left out.
"""

from collections.abc import Callable

from tests.servers.kubernetes import Client, KubernetesAPI, Object

from . import jobs, paths
from .pods import now

FINALIZER = "tidb.pingcap.com/backup-protection"
_CONFLICT = 409
_TRIES = 10


class Operator:
    """with an object created: `operator.reconcile("nightly")`, and again after each change."""

    def __init__(self, api: KubernetesAPI, namespace: str) -> None:
        self._client: Client = api.admin
        self._namespace = namespace

    def _path(self, name: str) -> str:
        return paths.backup(self._namespace, name)

    def reconcile(self, name: str) -> None:
        backup = self._client.find(self._path(name))
        if backup is None:
            return
        if "deletionTimestamp" in backup["metadata"]:
            self._clean(backup)
        else:
            self._protect(backup)
            self._schedule(name)

    def _protect(self, backup: Object) -> None:
        if backup["spec"]["cleanPolicy"] == "Retain":
            return

        def protected(current: Object) -> None:
            finalizers = current["metadata"].setdefault("finalizers", [])
            if FINALIZER not in finalizers:
                finalizers.append(FINALIZER)

        self._update(backup["metadata"]["name"], protected)

    def _schedule(self, name: str) -> None:
        backup = self._client.get(self._path(name))
        if any(_holds(backup, kind) for kind in ("Complete", "Failed", "Invalid")):
            return
        job = self._client.find(paths.job(self._namespace, jobs.job_name(backup)))
        if job is not None:
            if not _job_failed(job):
                return
            self._try_again(backup)
        if problem := self._problem(backup):
            self._set(name, "RetryFailed", reason=problem[0], message=problem[1])
            return
        self._make_claim(backup)
        self._create_job(jobs.export_job(backup))
        self._set(name, "Scheduled")

    def _create_job(self, job: Object) -> None:
        # A field that Kubernetes does not know is a slip of ours.
        self._client.create(f"{paths.job(self._namespace)}?fieldValidation=Strict", job)

    def _problem(self, backup: Object) -> tuple[str, str] | None:
        """A secret, or a key in it, that the operator misses before it makes a Job."""
        spec = backup["spec"]
        wanted = {spec["from"]["secretName"]: ["password"]}
        if secret := spec["s3"].get("secretName"):
            wanted.setdefault(secret, []).extend(["access_key", "secret_key"])
        for name, keys in wanted.items():
            found = self._client.find(paths.core(self._namespace, "secrets", name))
            if found is None:
                return "GetSecretFailed", f"secret {name} not found"
            if lacking := [key for key in keys if key not in found.get("data", {})]:
                return "KeyNotExist", f"secret {name} missing some keys {','.join(lacking)}"
        return None

    def _make_claim(self, backup: Object) -> None:
        collection = paths.core(self._namespace, "persistentvolumeclaims")
        if self._client.find(f"{collection}/{jobs.claim_name(backup)}") is None:
            self._client.create(collection, jobs.claim(backup))

    def _try_again(self, backup: Object) -> None:
        """A Job that failed and left no condition Failed is made anew."""
        name, job = backup["metadata"]["name"], jobs.job_name(backup)
        record: Object = {
            "retryNum": len(backup["status"].get("backoffRetryStatus", [])) + 1,
            "retryReason": f"Job {job} has failed",
            "originalReason": "BackoffLimitExceeded",
            "detectFailedAt": now(),
            "expectedRetryAt": now(),
        }

        def recorded(current: Object) -> None:
            current["status"].setdefault("backoffRetryStatus", []).append(record)

        self._update(name, recorded)
        message = f"reason {record['retryReason']}, original reason {record['originalReason']}"
        self._set(name, "RetryFailed", reason="RetryFailedBackup", message=message)
        self.delete_job(job)

        def retried(current: Object) -> None:
            current["status"]["backoffRetryStatus"][-1]["realRetryAt"] = now()

        self._update(name, retried)
        self._set(name, "Restart")

    def delete_job(self, name: str) -> None:
        """Delete a Job and, as the garbage collector would, its Pods."""
        self._client.delete(paths.job(self._namespace, name), propagationPolicy="Background")
        pods = paths.core(self._namespace, "pods")
        self._client.delete(f"{pods}?labelSelector=job-name%3D{name}")

    def _clean(self, backup: Object) -> None:
        """Once the object is to be deleted: the clean Job, and at its end the finalizer."""
        name, policy = backup["metadata"]["name"], backup["spec"]["cleanPolicy"]
        kept = policy == "OnFailure" and not _holds(backup, "Failed")
        if kept or _holds(backup, "Clean"):
            self._update(name, _unprotected)
            return
        export = jobs.job_name(backup)
        job = self._client.find(paths.job(self._namespace, export))
        if job is not None and not _job_ended(job):
            self.delete_job(export)
            return
        if self._client.find(paths.job(self._namespace, jobs.clean_job_name(backup))) is not None:
            return
        if not backup.get("status", {}).get("backupPath"):
            self._set(name, "Clean")
            self._update(name, _unprotected)
            return
        self._create_job(jobs.clean_job(backup))
        self._set(name, "Clean", holds=False)

    def _set(
        self, name: str, kind: str, *, holds: bool = True, reason: str = "", message: str = ""
    ) -> None:
        """Set a condition; the phase follows, but for Restart."""
        condition = {"type": kind, "status": str(holds), "lastTransitionTime": now()}
        condition |= {"reason": reason, "message": message} if reason else {}

        def updated(current: Object) -> None:
            status = current.setdefault("status", {})
            conditions = status["conditions"] = status.get("conditions") or []
            kinds = [each["type"] for each in conditions]
            place = kinds.index(kind) if kind in kinds else len(kinds)
            conditions[place : place + 1] = [condition]
            if kind != "Restart":
                status["phase"] = kind

        self._update(name, updated)

    def _update(self, name: str, change: Callable[[Object], None]) -> None:
        """Change the object as it is now; others change it too."""
        for _ in range(_TRIES):
            current = self._client.get(self._path(name))
            change(current)
            answer = self._client.ask("PUT", self._path(name), current)
            if answer.code != _CONFLICT:
                assert answer.ok, answer
                return
        raise AssertionError(f"{name} changes too often")


def _holds(backup: Object, kind: str) -> bool:
    conditions = backup.get("status", {}).get("conditions") or []
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _unprotected(current: Object) -> None:
    finalizers = current["metadata"].get("finalizers", [])
    current["metadata"]["finalizers"] = [each for each in finalizers if each != FINALIZER]


def _job_failed(job: Object) -> bool:
    return _job_has(job, "Failed")


def _job_ended(job: Object) -> bool:
    return _job_failed(job) or _job_has(job, "Complete")


def _job_has(job: Object, kind: str) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
