"""What the server is told to do wrong, each thing counted when it happens."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .answers import Answer, Document, Refusal, text
from .store import Store, Writer

WRITTEN = "tests.example.com/written"  # the annotation that another writer changes


@dataclass
class Failure:
    """What the next requests get in place of an answer; None: the answer is lost."""

    answer: Answer | None
    times: int
    method: str | None


class Troubles:
    """Asked by each request; `counts` says how often each kind has happened."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._failures: list[Failure] = []
        self._conflicts = 0
        self._writer: Writer | None = None
        self._answering = threading.Event()
        self._answering.set()

    def fail_next(self, status: int, times: int, *, method: str | None, retry_after: int) -> None:
        with self._lock:
            self._failures.append(Failure(failing(status, retry_after), times, method))

    def lose_next(self, times: int, *, method: str | None) -> None:
        with self._lock:
            self._failures.append(Failure(None, times, method))

    def conflict_next(self, times: int) -> None:
        with self._lock:
            self._conflicts += times

    def write(self, writer: Writer | None) -> None:
        with self._lock:
            self._writer = writer

    def silence(self) -> None:
        self._answering.clear()

    def speak(self) -> None:
        self._answering.set()

    def silent(self) -> bool:
        """Wait while nothing is answered; whether that was so."""
        if self._answering.is_set():
            return False
        with self._lock:
            self.counts["silent"] += 1
        self._answering.wait()
        return True

    def failure(self, method: str) -> Failure | None:
        """What this request gets in place of its answer."""
        with self._lock:
            for failure in self._failures:
                if failure.times > 0 and failure.method in {None, method}:
                    failure.times -= 1
                    self.counts["failed" if failure.answer else "lost"] += 1
                    return failure
        return None

    def before_put(self, store: Store, namespace: str, name: str) -> None:
        """Let others change the object before a PUT of it is looked at."""
        with self._lock:
            writer, between = self._writer, self._conflicts > 0
            self._conflicts -= between
            number = self.counts["conflict"] = self.counts["conflict"] + between
        if between:
            store.write(namespace, name, _annotating(str(number)))
        if writer:
            with self._lock:
                self.counts["writer"] += 1
            store.write(namespace, name, writer)


def _annotating(value: str) -> Callable[[Document], None]:
    def annotate(backup: Document) -> None:
        backup["metadata"].setdefault("annotations", {})[WRITTEN] = value

    return annotate


def failing(status: int, retry_after: int) -> Answer:
    """As the real one says 429, 500, 503 and 504, and a proxy before it anything else."""
    if status == 429:
        # From its priority and fairness, which speaks no JSON.
        words = "Too many requests, please try again later.\n"
        return text(429, words, "text/plain; charset=utf-8", {"Retry-After": str(retry_after)})
    if status == 500:
        words = "Internal error occurred: etcdserver: leader changed"
        causes = {"causes": [{"message": "etcdserver: leader changed"}]}
        return Refusal(500, "InternalError", words, causes).answer
    if status == 503:
        words = "the server is currently unable to handle the request"
        details = {"retryAfterSeconds": retry_after}
        return Refusal(503, "ServiceUnavailable", words, details).answer
    if status == 504:
        words = "Timeout: request did not complete within the allotted timeout"
        return Refusal(504, "Timeout", words, {}).answer
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
    return text(status, page, "text/html")
