"""Prometheus' own programs: a Pushgateway, node-exporter's textfile collector, and promtool."""

import http.client
import json
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.scoped import Scoped

from .ports import free_port, is_open
from .process import Process, run

PUSHGATEWAY = "prometheus-pushgateway"
NODE_EXPORTER = "prometheus-node-exporter"
PROMTOOL = "promtool"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str, prefix: str = "backup_manager_") -> Samples:
    """The value of each sample in a text, by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


def promtool(*argv: str) -> str:
    """Run promtool; a ServerError tells what it finds wrong."""
    return run([PROMTOOL, *argv])


class _Server(Scoped):
    def __init__(self, argv: list[str], directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / f"{argv[0]}.log"
        self._argv = [*argv, f"--web.listen-address=127.0.0.1:{self.port}"]
        self._process: Process | None = None

    def start(self) -> None:
        self._process = Process(self._argv, log=self.log)
        self._process.wait_ready(lambda: is_open(self.port))

    def stop(self) -> None:
        assert self._process
        self._process.stop(grace=3)

    def get(self, path: str = "/metrics") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == http.client.OK, text
            return text
        finally:
            connection.close()

    def families(self) -> dict[str, Metric]:
        """What it exposes of ours, by the families' names."""
        found = text_string_to_metric_families(self.get())
        return {each.name: each for each in found if each.name.startswith("backup_manager_")}


class Pushgateway(_Server):
    """A Pushgateway without persistence."""

    def __init__(self, directory: Path) -> None:
        # Debian's keeps what it knows in /var/lib unless told otherwise.
        super().__init__([PUSHGATEWAY, "--persistence.file="], directory)

    def groups(self) -> list[dict[str, str]]:
        """The labels of each group of metrics that it holds."""
        answer: Any = json.loads(self.get("/api/v1/metrics"))
        return [group["labels"] for group in answer["data"]]


class NodeExporter(_Server):
    """The textfile collector alone, over a directory."""

    def __init__(self, collected: Path, directory: Path) -> None:
        argv = [NODE_EXPORTER, "--collector.disable-defaults", "--collector.textfile"]
        super().__init__([*argv, f"--collector.textfile.directory={collected}"], directory)
