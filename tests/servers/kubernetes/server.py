"""A real Kubernetes API: etcd, kube-apiserver, and the controllers of Jobs and CronJobs.

There is no scheduler, no kubelet and no garbage collector: who uses it plays them.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.scoped import Scoped
from tests.servers.certificates import Certificates
from tests.servers.ports import free_port, is_open
from tests.servers.process import Process, ServerError, program

from .builds import jobctl, kube_apiserver
from .client import Client

_ISSUER = "https://kubernetes.default.svc.cluster.local"


class KubernetesAPI(Scoped):
    """One API server; its data, certificates and logs are in `directory`.

    with KubernetesAPI(directory) as api:
        api.admin.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        print(api.kubectl("get", "namespaces"))
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.token = secrets.token_hex(16)  # the administrator's
        self.certificates = Certificates.create(directory / "certificates")
        self.admin = self.client(self.token)
        self._etcd_port, self._etcd_peers = free_port(), free_port()
        self._processes: list[Process] = []

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def client(self, token: str) -> Client:
        """A client with the rights of this token."""
        return Client(self.host, self.port, self.certificates.ca_file, token)

    def start(self) -> None:
        """Start all three, and wait until the API says that it is ready."""
        if self._processes:
            return
        self._write_kubeconfig()
        try:
            self._start_etcd()
            self.resume()
            controllers = [str(jobctl()), f"--kubeconfig={self.kubeconfig}"]
            self._processes.append(Process(controllers, log=self.directory / "jobctl.log"))
        except BaseException:
            self.stop()
            raise

    def _start_etcd(self) -> None:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peers = f"http://127.0.0.1:{self._etcd_peers}"
        argv = [
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # it need not outlive a power cut
        ]
        etcd = Process(argv, log=self.directory / "etcd.log")
        self._processes.append(etcd)
        etcd.wait_ready(lambda: is_open(self._etcd_port))

    def resume(self) -> None:
        """Start the API server alone, at the same port, with all that etcd has."""
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f"{self.token},admin,1,system:masters\n")
        # Any key will do to sign the tokens of ServiceAccounts.
        key = self.certificates.client_key
        argv = [
            str(kube_apiserver()),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self.port}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={self.certificates.certificate}",
            f"--tls-private-key-file={self.certificates.key}",
            f"--client-ca-file={self.certificates.ca_file}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount,DefaultStorageClass",
        ]
        self._server = Process(argv, log=self.directory / "kube-apiserver.log")
        self._processes.append(self._server)
        self._server.wait_ready(self._ready)

    def _ready(self) -> bool:
        try:
            return self.admin.ask("GET", "/readyz").ok
        except OSError:
            return False

    def pause(self) -> None:
        """Let nobody answer at the port, as while a control plane is upgraded; see `resume`."""
        self._server.kill()
        self._processes.remove(self._server)

    def stop(self) -> None:
        while self._processes:
            self._processes.pop().kill()

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.certificates.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))  # which is YAML too

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints, as the administrator; `given` is its standard input."""
        argv: Sequence[str] = [
            program("kubectl"),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.directory / 'kubectl'}",
            *arguments,
        ]
        done = subprocess.run(
            argv,
            input=given or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)},
        )
        if done.returncode:
            raise ServerError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout
