"""All volumes of one Pod on the node."""

from pathlib import Path

from tests.servers.kubernetes import KubernetesAPI, Object

from .image import Mount
from .paths import core
from .pods import owner_of
from .tokens import Token
from .volumes import NotMountedError, claimed, give, projected_files, secret_files, write_payload


class PodVolumes:
    """`node` is the directory that outlives the Pod, for what claims are bound to."""

    def __init__(self, api: KubernetesAPI, pod: Object, node: Path) -> None:
        self._api = api
        self._pod = pod
        self._node = node
        self._namespace: str = pod["metadata"]["namespace"]
        self._directory = node / pod["metadata"]["name"] / "volumes"
        self._owner = owner_of(pod)
        self._paths: dict[str, Path] = {}
        self._token: Token | None = None

    def prepare(self) -> None:
        for volume in self._pod["spec"].get("volumes", []):
            self._paths[volume["name"]] = self._prepared(volume)

    def _prepared(self, volume: Object) -> Path:
        if "persistentVolumeClaim" in volume:
            claim: str = volume["persistentVolumeClaim"]["claimName"]
            return self._claimed(claim)
        path: Path = self._directory / volume["name"]
        path.mkdir(parents=True)
        if "emptyDir" in volume:
            path.chmod(0o777)
            give(path, self._owner)
        elif "secret" in volume:
            files = secret_files(self._api.admin, self._namespace, volume["secret"]["secretName"])
            write_payload(path, files, self._owner)
        elif "projected" in volume:
            self._project(volume, path)
        else:
            raise NotMountedError(f"no such volume here: {volume}")
        return path

    def _claimed(self, name: str) -> Path:
        where = core(self._namespace, "persistentvolumeclaims", name)
        if self._api.admin.find(where) is None:
            raise NotMountedError(f'persistentvolumeclaim "{name}" not found')
        path = claimed(self._node, name)
        give(path, self._owner)
        return path

    def _project(self, volume: Object, path: Path) -> None:
        if self._token is None:
            account = self._pod["spec"].get("serviceAccountName", "default")
            self._token = Token(self._api, self._namespace, account)
        sources = volume["projected"]["sources"]
        files = projected_files(self._api.admin, self._pod, sources, self._token.text)
        write_payload(path, files, self._owner)

    def rotate_token(self) -> None:
        old, self._token = self._token, None
        assert old is not None, "the Pod has no token"
        for volume in self._pod["spec"]["volumes"]:
            if "projected" in volume:
                self._project(volume, self._paths[volume["name"]])
        old.end()

    def mounts(self, container: Object) -> list[Mount]:
        return [
            Mount(self._paths[mount["name"]], mount["mountPath"], bool(mount.get("readOnly")))
            for mount in container.get("volumeMounts", [])
        ]
