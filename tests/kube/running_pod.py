"""A Pod on the node, from its volumes to its last status."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.command import END_SECONDS
from tests.running import Event, Result
from tests.scoped import Scoped
from tests.servers import ServerError
from tests.servers.kubernetes import KubernetesAPI, Object

from . import image, pods
from .container import Container
from .image import Mount
from .jobs import TOKEN_PATH, token_volume
from .paths import core
from .pod_volumes import PodVolumes
from .pods import NotStartedError
from .volumes import NotMountedError

_INIT_SECONDS = 60
_FALLBACK_BYTES = 2048


class RunningPod(Scoped):
    """One Pod; `images` has for each image the file that is /dumpling in it."""

    container: Container

    def __init__(
        self, api: KubernetesAPI, pod: Object, node: Path, images: Mapping[str, Path]
    ) -> None:
        self.pod = _with_token(pod)
        self.name: str = pod["metadata"]["name"]
        self._api = api
        self._path = core(pod["metadata"]["namespace"], "pods", self.name)
        self._images = images
        self._directory = node / self.name
        self._directory.mkdir()
        self._volumes = PodVolumes(api, self.pod, node)
        self._main: Object = self.pod["spec"]["containers"][0]
        self._began = pods.now()
        self._termination_log = self._directory / "termination-log"

    def start(self) -> None:
        """Prepare the volumes, run the init containers, start the container."""
        try:
            self._look_for_account()
            self._volumes.prepare()
            for container in self.pod["spec"].get("initContainers", []):
                self._run_first(container)
            argv, environment = self._prepared(self._main)
        except NotMountedError as error:
            self._leave_waiting(NotStartedError("ContainerCreating", str(error)))
        except NotStartedError as error:
            self._leave_waiting(error)
        secrets = pods.secrets_of(self._main, environment)
        self.container = Container(argv, environment, secrets, self._termination_log)
        running = {"running": {"startedAt": self._began}}
        self._report(pods.status("Running", self._main, running, ready=True))

    def _look_for_account(self) -> None:
        """As the admission plugin would, which is off here: no controller makes `default`."""
        name = self.pod["spec"].get("serviceAccountName", "default")
        where = core(self.pod["metadata"]["namespace"], "serviceaccounts", name)
        if name != "default" and self._api.admin.find(where) is None:
            raise NotStartedError("FailedCreate", f'serviceaccount "{name}" not found')

    def _leave_waiting(self, error: NotStartedError) -> None:
        waiting = {"waiting": {"reason": error.reason, "message": error.message}}
        self._report(pods.status("Pending", self._main, waiting))
        raise error

    def _run_first(self, container: Object) -> None:
        argv, environment = self._prepared(container)
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"init container: {done.returncode}: {done.stdout}{done.stderr}")

    def _prepared(self, container: Object) -> tuple[list[str], dict[str, str]]:
        """What starts a container, and its environment."""
        self._termination_log.write_bytes(b"")
        self._termination_log.chmod(0o666)
        mounts = self._volumes.mounts(container)
        mounts.append(Mount(self._termination_log, "/dev/termination-log"))
        if dumpling := self._images.get(container["image"]):
            mounts.append(Mount(dumpling, "/dumpling", read_only=True))
        root = self._directory / f"root-{container['name']}"
        root.mkdir()
        variables = pods.variables_of(self._api, self.pod, container)
        argv = image.contained(
            root,
            self.name,
            pods.user_of(self.pod, container),
            mounts,
            pods.words_of(container, variables),
            pods.confinement_of(container),
        )
        return argv, pods.environment_of(self.pod, variables)

    def _report(self, status: Object) -> None:
        self._api.admin.merge(f"{self._path}/status", {"status": status})

    def wait_for(self, wanted: str | Callable[[Event], bool], *, seconds: float = 60) -> Event:
        """The first line of the log like that: see Running."""
        return self.container.wait_for(wanted, seconds=seconds)

    def path(self, inside: str) -> Path:
        """A file of the running container, as seen from here."""
        return Path(f"/proc/{self.container.first}/root{inside}")

    def wait_for_gate(self) -> None:
        """Wait until Dumpling's double stands at nightly.GATE."""
        self.container.wait_until(lambda: self.path("/tmp/stands").exists())

    def open_gate(self) -> None:
        self.path("/tmp/go").touch()

    def end(self, timeout: float = 120) -> Result:
        """Wait for the container's end, and report it."""
        result = self.container.result(timeout)
        state = pods.terminated(result.exit_code, self._message(result), self._began)
        phase = "Failed" if result.exit_code else "Succeeded"
        self._report(pods.status(phase, self._main, state))
        return result

    def _message(self, result: Result) -> str:
        fallback = "FallbackToLogsOnError" == self._main.get("terminationMessagePolicy")
        if self.container.message or not fallback or not result.exit_code:
            return self.container.message
        return (result.stderr + result.stdout)[-_FALLBACK_BYTES:]

    def evict(self) -> Result:
        """End it as the kubelet does where the node runs short of something."""
        result = self._stopped()
        state = pods.terminated(result.exit_code, self.container.message, self._began)
        why = {"reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}
        conditions = [pods.disrupted("TerminationByKubelet")]
        status = pods.status("Failed", self._main, state)
        self._report(status | why | {"conditions": conditions})
        return result

    def drain(self) -> Result:
        """Have it evicted by way of the API, as `kubectl drain` does."""
        body: Object = {"apiVersion": "policy/v1", "kind": "Eviction"}
        self._api.admin.create(f"{self._path}/eviction", body | {"metadata": {"name": self.name}})
        return self._ended_and_gone()

    def kill(self) -> Result:
        """SIGKILL, as for want of memory; the node says so."""
        self.container.kill()
        result = self.container.result()
        state = pods.terminated(result.exit_code, self._message(result), self._began)
        state["terminated"]["reason"] = "OOMKilled"
        self._report(pods.status("Failed", self._main, state))
        return result

    def lose_node(self) -> None:
        """Have it written off, as where its node is not heard of; the container goes on.

        The garbage collector of Pods, which is not here, first gives it its last status.
        """
        failed = {"phase": "Failed", "conditions": [pods.disrupted("DeletionByPodGC")]}
        self._report(failed)
        self._api.admin.delete(self._path, gracePeriodSeconds=0)

    def delete(self) -> Result:
        """Have it deleted: its container ends first."""
        self._api.admin.delete(self._path)
        return self._ended_and_gone()

    def _ended_and_gone(self) -> Result:
        result = self._stopped()
        state = pods.terminated(result.exit_code, self.container.message, self._began)
        self._report(pods.status("Failed", self._main, state))
        self._api.admin.delete(self._path, gracePeriodSeconds=0)
        return result

    def _stopped(self) -> Result:
        """SIGTERM; that it ends within the grace period is promised, so SIGKILL is a failure."""
        self.container.terminate()
        return self.container.result(END_SECONDS)

    def rotate_token(self) -> None:
        """Put a new token in place; the API server refuses the old one from then on."""
        self._volumes.rotate_token()

    @property
    def logs(self) -> Sequence[Event]:
        return self.container.log

    def stop(self) -> None:
        if hasattr(self, "container"):
            self.container.stop()


def _with_token(pod: Object) -> Object:
    """The Pod with the volume that a ServiceAccount's Pod is given, unless it wants none."""
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken", True):
        spec["volumes"] = [*spec.get("volumes", []), token_volume("kube-api-access-token")]
        mount = {"name": "kube-api-access-token", "mountPath": TOKEN_PATH, "readOnly": True}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    return pod
