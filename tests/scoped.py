"""What lasts as long as a `with` block: servers, proxies, processes, mounts."""

from types import TracebackType
from typing import Self


class Scoped:
    """Starts where a `with` block begins, and stops where it ends, however it ends."""

    def start(self) -> None:
        """Nothing, for what runs once it is made."""

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
