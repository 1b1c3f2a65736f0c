"""A node: the scheduler and the kubelet for the Pods that Jobs make, with local processes."""

from collections.abc import Mapping
from pathlib import Path

from tests.scoped import Scoped
from tests.servers import wait_until
from tests.servers.kubernetes import KubernetesAPI, Object

from .paths import core
from .running_pod import RunningPod
from .volumes import claimed

_SOON = 30


class Node(Scoped):
    """Runs Pods of one namespace; volumes and all else are in `directory`.

    `images` has for each image the file that is /dumpling in it; nothing is pulled, whatever the
    policy or the secrets for that. A new volume of a claim belongs to root, as a file system just
    made does: who does not set fsGroup may not write to it.

        with Node(api, namespace, directory, {IMAGE: dumpling}) as node:
            pod = node.run("backup-nightly")
            pod.wait_for("dumping")
            pod.end().expect(0)
    """

    def __init__(
        self, api: KubernetesAPI, namespace: str, directory: Path, images: Mapping[str, Path]
    ) -> None:
        self.api = api
        self.namespace = namespace
        self.directory = directory
        self.images = dict(images)
        self._pods: list[RunningPod] = []

    def stop(self) -> None:
        for pod in self._pods:
            pod.stop()

    def volume(self, claim: str) -> Path:
        """The directory that a claim is bound to."""
        return claimed(self.directory, claim)

    def claim(self, job: str) -> Object:
        """The next Pod of a Job, bound to this node."""
        collection = core(self.namespace, "pods")
        waiting: list[Object] = []

        def made() -> bool:
            found = self.api.admin.items(f"{collection}?labelSelector=job-name%3D{job}")
            waiting[:] = [pod for pod in found if "nodeName" not in pod["spec"]]
            return bool(waiting)

        wait_until(made, seconds=_SOON, what=f"a new Pod of the Job {job}")
        name = waiting[0]["metadata"]["name"]
        target = {"apiVersion": "v1", "kind": "Node", "name": "node"}
        binding: Object = {"metadata": {"name": name}, "target": target}
        self.api.admin.create(f"{collection}/{name}/binding", binding)
        return self.api.admin.get(f"{collection}/{name}")

    def run(self, job: str) -> RunningPod:
        """Start the next Pod of a Job; NotStartedError where its container cannot be made."""
        pod = RunningPod(self.api, self.claim(job), self.directory, self.images)
        self._pods.append(pod)
        pod.start()
        return pod
