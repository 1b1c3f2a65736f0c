"""Calls that block, and how a signal ends the wait for them."""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from backup_manager import signals
from backup_manager.bounded import bounded, shielded
from backup_manager.errors import InterruptedBySignalError
from backup_manager.signals import Stop


class Blocking:
    """A call that blocks until it is released; `begun` tells that it is under way."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.released.wait(60)
        self.ended.set()
        return "result"

    def meanwhile(self, *acts: Callable[[], object]) -> None:
        """Do things in another thread once the call is under way."""

        def run() -> None:
            assert self.begun.wait(60)
            for act in acts:
                act()

        threading.Thread(target=run).start()


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def call() -> Iterator[Blocking]:
    blocking = Blocking()
    yield blocking
    blocking.released.set()


def terminate(stop: Stop) -> None:
    stop.request(signal.SIGTERM)


@pytest.mark.parametrize("way", [bounded, shielded])
def test_the_result(way: Callable[..., object], stop: Stop, call: Blocking) -> None:
    call.meanwhile(call.released.set)
    assert "result" == way(stop, call)
    assert way(stop, lambda: None) is None


@pytest.mark.parametrize("way", [bounded, shielded])
@pytest.mark.parametrize("error", [ValueError("why"), SystemExit(3), TimeoutError("its own")])
def test_the_error(way: Callable[..., object], stop: Stop, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        way(stop, fail)
    assert error is caught.value


@pytest.mark.parametrize("way", [bounded, shielded])
def test_the_call_is_made_in_a_thread_of_its_own(way: Callable[..., object], stop: Stop) -> None:
    thread = way(stop, threading.current_thread)
    assert isinstance(thread, threading.Thread)
    assert thread is not threading.current_thread()
    # Else it would keep a process alive that has given it up.
    assert thread.daemon


def test_the_bound(stop: Stop, call: Blocking) -> None:
    with pytest.raises(TimeoutError, match="no answer in time"):
        bounded(stop, call, seconds=0)
    assert not call.ended.is_set()
    # What was given up goes on unheeded.
    call.released.set()
    assert call.ended.wait(60)


def test_a_signal_ends_the_wait_at_once(stop: Stop, call: Blocking) -> None:
    call.meanwhile(lambda: terminate(stop))
    with pytest.raises(InterruptedBySignalError):
        bounded(stop, call, seconds=1000)
    assert not call.ended.is_set()


def test_a_call_after_the_signal_is_part_of_the_orderly_end(stop: Stop, call: Blocking) -> None:
    notice(stop)
    call.meanwhile(call.released.set)
    assert "result" == bounded(stop, call)


def test_a_call_after_a_signal_that_nobody_noticed_is_not_made(stop: Stop) -> None:
    terminate(stop)
    made: list[str] = []
    with pytest.raises(InterruptedBySignalError):
        bounded(stop, lambda: made.append("made"))
    assert [] == made


def notice(stop: Stop) -> None:
    terminate(stop)
    with pytest.raises(InterruptedBySignalError):
        stop.check()


def test_a_call_after_the_signal_has_what_is_left(
    stop: Stop, call: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice(stop)
    monkeypatch.setattr(signals, "ORDERLY_SECONDS", 0.0)
    with pytest.raises(TimeoutError):
        bounded(stop, call, seconds=1000)


def test_a_shielded_call_outlives_the_signal(stop: Stop, call: Blocking) -> None:
    class Watched(Stop):
        """Tells that the wait has looked at it after the signal."""

        def __init__(self) -> None:
            super().__init__()
            self.looked = threading.Event()

        def seconds_left(self, at_most: float) -> float:
            self.looked.set()
            return super().seconds_left(at_most)

    stop = Watched()
    call.meanwhile(lambda: terminate(stop), lambda: stop.looked.wait(60), call.released.set)
    assert "result" == shielded(stop, call)
    assert stop.looked.is_set()


def test_a_shielded_call_ends_with_the_orderly_end(
    stop: Stop, call: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "ORDERLY_SECONDS", 0.0)
    call.meanwhile(lambda: terminate(stop))
    with pytest.raises(InterruptedBySignalError):
        shielded(stop, call)
    assert not call.ended.is_set()
