"""How texts become values: properties of the readers."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_manager import values
from backup_manager.report import LEVELS

T = TypeVar("T")
PIECES = st.text(st.characters(exclude_characters="/", min_codepoint=32, codec="utf-8"), min_size=1)


def read(reader: Callable[[str], T], text: str) -> T | None:
    """Read a text; None where it is refused with a reason and what to do, and nothing else."""
    try:
        return reader(text)
    except ValueError as error:
        why, fix = error.args
        if not (why and fix):
            raise
        return None


def https(text: str) -> str:
    return values.endpoint(text, "https")


# Prefix ------------------------------------------------------------------------------------


@given(st.lists(PIECES.filter(lambda piece: piece not in {".", ".."} and "\x7f" not in piece)))
def test_slashes_of_a_prefix_are_normalised(pieces: list[str]) -> None:
    plain = "/".join(pieces)
    if len(plain.encode()) <= 512:
        assert plain == values.prefix(plain)
        assert plain == values.prefix(f"//{'///'.join(pieces)}/")


@given(st.text())
@example("\ud800")
@example("a/../b")
def test_a_prefix_is_normal_or_refused(text: str) -> None:
    prefix = read(values.prefix, text)
    if prefix is None:
        return
    assert prefix == values.prefix(prefix)
    pieces = prefix.split("/") if prefix else []
    assert "" not in pieces
    assert not {".", ".."} & set(pieces)
    assert len(prefix.encode()) <= 512
    assert prefix.replace("/", "") == text.replace("/", "")


# Bucket ------------------------------------------------------------------------------------


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", fullmatch=True))
def test_buckets_by_the_rules_of_s3(name: str) -> None:
    assert name == values.bucket(name)


@pytest.mark.parametrize("name", ["My_Bucket.1", "abc"])
def test_buckets_by_the_older_rules(name: str) -> None:
    assert name == values.bucket(name)


@given(st.text())
@example("abc\n")
@example("s3://abc")
@example("abc/def")
def test_a_bucket_is_a_plain_name_or_refused(text: str) -> None:
    name = read(values.bucket, text)
    if name is None:
        return
    assert text == name
    assert name.isascii()
    assert name.replace("-", "").replace(".", "").replace("_", "").isalnum()
    assert 3 <= len(name) <= 255


# Port and seconds --------------------------------------------------------------------------


@given(st.integers(-10, 70_000))
def test_ports(number: int) -> None:
    if 1 <= number <= 65535:
        assert number == values.port(str(number))
    else:
        with pytest.raises(ValueError, match="is no port"):
            values.port(str(number))


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "1_0", "0x1", "٣", "²"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match="is no port"):
        values.port(text)


@given(st.integers(1, 10**6))
def test_seconds_plain_and_with_units(number: int) -> None:
    assert float(number) == values.seconds(str(number))
    assert float(number) == values.seconds(f"{number}s")
    assert 60.0 * number == values.seconds(f"{number}m")
    assert 3600.0 * number == values.seconds(f"{number}h")


@given(st.text())
@example("1e5")
@example("inf")
@example("nan")
@example("-1")
@example("0")
@example("1 s")
def test_seconds_are_above_zero_or_refused(text: str) -> None:
    seconds = read(values.seconds, text)
    assert seconds is None or 0 < seconds < 1e10


# Endpoint ----------------------------------------------------------------------------------

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True)


@given(HOSTS, st.none() | st.integers(1, 65535), st.sampled_from(["http", "https"]))
def test_endpoints(host: str, port: int | None, scheme: str) -> None:
    address = host if port is None else f"{host}:{port}"
    assert f"{scheme}://{address}" == values.endpoint(f"{scheme}://{address}", "http")
    assert f"{scheme}://{address}" == values.endpoint(f"{scheme}://{address}/", "http")
    # The scheme is filled in where it is missing.
    assert f"{scheme}://{address}" == values.endpoint(address, scheme)


@given(st.text(st.sampled_from("hHtTpPs:/.@?#[]%09 az\\~é\t\n"), max_size=25))
@example("http://[::1]:80")
@example("https://[::1")
@example("https://host:port")
def test_an_endpoint_is_normal_or_refused(text: str) -> None:
    url = read(https, text)
    if url is None:
        return
    parts = urlsplit(url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert ("", "", "") == (parts.path, parts.query, parts.fragment)
    assert parts.username is None
    assert url == values.endpoint(url, "https")


def test_addresses_of_ipv6() -> None:
    assert "http://[::1]:7480" == values.endpoint("http://[::1]:7480", "https")


@pytest.mark.parametrize(
    "text",
    [
        "http://host/path",
        "http://host/?a=b",
        "http://host#f",
        "http://key:secret@host",
        "http://@host",
        "ftp://host",
        "s3://bucket",
        "http://",
        "http://:80",
        "http://host:99999",
        "http://host:0",
        "http://host:x",
        "http://ho st",
        "http://ho\tst",
        "https://[::1",
        "://host",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    assert read(https, text) is None


def test_credentials_in_an_endpoint_are_not_repeated() -> None:
    with pytest.raises(ValueError, match="holds no credentials") as caught:
        values.endpoint("http://key:canary@host", "https")
    assert "canary" not in str(caught.value)


# The others --------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("on", True), ("No", False)])
def test_booleans(text: str, value: bool) -> None:
    assert value is values.boolean(text)


def test_providers_in_any_case() -> None:
    assert "ceph" == values.provider("Ceph")


# Whatever text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reader",
    [
        values.boolean,
        values.port,
        values.seconds,
        values.reserved_seconds,
        values.backups_kept,
        values.existing_file,
        values.one_of(LEVELS, "level"),
        values.provider,
        values.bucket,
        values.prefix,
        https,
    ],
    ids=lambda reader: reader.__name__,
)
@given(text=st.text() | st.text(":/@[]%0123456789.hms?#", max_size=20))
@example(text="9" * 5000)
@example(text="9" * 5000 + "s")
@example(text="\0")
@example(text="\udcff")
@example(text="\ud800")
@example(text="http://[::1")
@example(text="http://x:" + "9" * 5000)
def test_any_text_is_a_value_or_refused_with_its_reason(
    reader: Callable[[str], object], text: str
) -> None:
    read(reader, text)
