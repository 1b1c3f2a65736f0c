"""What is worth another attempt, how long, and with which credentials."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from backup_manager.signals import Stop
from backup_manager.store import credentials as module
from backup_manager.store.client import Store
from backup_manager.store.credentials import Lookup, Renewing
from backup_manager.store.faults import AnswerError, CredentialsError
from backup_manager.store.retries import Judge, Patience
from tests.stores import new_store, use_keys

ENDED = AnswerError(400, "ExpiredToken", "")
UNKNOWN = AnswerError(403, "InvalidAccessKeyId", "")
SKEWED = AnswerError(403, "RequestTimeTooSkewed", "")


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr("time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# Patience ----------------------------------------------------------------------------------


def test_patience_counts_from_the_first_failure(clock: Clock) -> None:
    patience = Patience(60)
    assert not patience.over(clock.now)
    assert not patience.over(clock.now - 59)
    assert patience.over(clock.now - 60)
    assert Patience(0).over(clock.now)


def test_while_it_is_held_nothing_counts(clock: Clock) -> None:
    patience = Patience(60, held=True)
    began = clock.now
    clock.now += 100_000
    assert not patience.over(began)
    patience.count()
    assert not patience.over(began)
    clock.now += 59
    patience.count()
    assert not patience.over(began)
    clock.now += 1
    assert patience.over(began)
    assert not patience.over(clock.now - 1)


# Credentials -------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """A shared credentials file, and nothing else that has any."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    write(path, "one")
    return path


def write(path: Path, name: str) -> None:
    path.write_text(
        f"[default]\naws_access_key_id = {name}\naws_secret_access_key = secret of {name}\n"
    )


def renewing(secrets: list[str | None]) -> Renewing:
    return Lookup(secrets.append).first(Stop())


def test_a_file_that_was_rewritten(file: Path, clock: Clock) -> None:
    secrets: list[str | None] = []
    found = renewing(secrets)
    assert not found.renew()
    write(file, "two")
    assert not found.renew()  # it was looked at a moment ago
    clock.now += 1
    assert found.renew()
    assert ("two", "secret of two") == found.get_frozen_credentials()[:2]
    assert ["secret of one", "secret of two"] == list(dict.fromkeys(filter(None, secrets)))
    clock.now += 59
    assert found.renew()  # of a request that had begun before
    clock.now += 1
    assert not found.renew()


def test_a_file_that_became_empty_changes_nothing(file: Path, clock: Clock) -> None:
    found = renewing([])
    file.write_text("")
    clock.now += 1
    assert not found.renew()
    assert "one" == found.get_frozen_credentials().access_key


def test_variables_cannot_change(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    use_keys(monkeypatch, "AK", "secret")
    found = renewing([])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK2")
    clock.now += 1
    assert (False, False) == (found.renew(), found.can_change)


def test_none_at_all(file: Path) -> None:
    file.unlink()
    with pytest.raises(CredentialsError, match="no credentials were found"):
        renewing([])


def test_both_ways_to_the_store_take_the_new_ones(file: Path, clock: Clock) -> None:
    store = new_store("http://127.0.0.1:1", "bucket")
    wire = store.wire()
    write(file, "two")
    clock.now += 1
    assert store.credentials
    assert store.credentials.renew()
    url = store.client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert "two" in url
    assert "two" == wire._credentials.get_frozen_credentials().access_key


# The judge ---------------------------------------------------------------------------------


def test_what_passes_is_always_worth_it(offline: Store) -> None:
    judge = Judge(offline.credentials)
    for error in (
        AnswerError(503, "SlowDown", ""),
        AnswerError(429, "429", ""),
        ConnectionResetError(),
        ResponseParserError("no XML"),
        ClientError({"Error": {"Code": "InternalError"}}, "PutObject"),
    ):
        assert [True] * 10 == [judge(error) for _ in range(10)]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Store:
    use_keys(monkeypatch, "AK", "secret")
    return new_store("http://127.0.0.1:1", "bucket")


def test_a_wrong_clock_is_given_a_few_attempts(offline: Store) -> None:
    judge = Judge(offline.credentials)
    assert [True, True, True, False] == [judge(SKEWED) for _ in range(4)]


@pytest.mark.parametrize("error", [ENDED, UNKNOWN, AnswerError(403, "AccessDenied", "")])
def test_what_cannot_change_is_not_waited_for(offline: Store, error: AnswerError) -> None:
    assert not Judge(offline.credentials)(error)
    assert not Judge(None)(error)


def test_other_credentials_may_come(file: Path, clock: Clock) -> None:
    judge = Judge(renewing([]))
    assert (True, False) == (judge(ENDED), judge(UNKNOWN))
    write(file, "two")
    clock.now += module._LOOK_SECONDS
    assert (True, True) == (judge(UNKNOWN), judge(ENDED))
