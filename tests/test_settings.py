"""Where each setting comes from, and what is said of a wrong one."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from backup_manager.definitions import DEFINITIONS, Definition
from backup_manager.errors import ExitCode, UsageError
from backup_manager.settings import Settings

WITH_OPERATORS_VARIABLE = [one for one in DEFINITIONS if one.variable]
# A text that each setting with an operator's variable takes, and a second one.
TEXTS = {
    "provider": ("ceph", "minio"),
    "endpoint": ("https://a:1", "https://b:2"),
    "region": ("one", "two"),
    "storage_class": ("COLD", "WARM"),
    "acl": ("private", "public-read"),
}


def origin(name: str, flags: Mapping[str, object], environ: dict[str, str]) -> tuple[object, str]:
    setting = Settings(flags, environ).resolved[name]
    return setting.value, setting.origin


def refusal(flags: Mapping[str, object], environ: dict[str, str] | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        Settings(flags, environ or {})
    assert ExitCode.USAGE == caught.value.exit_code
    assert caught.value.fix
    return caught.value


# The order of origins ----------------------------------------------------------------------


def test_every_default_can_be_read() -> None:
    settings = Settings({}, {})
    assert {"default"} == {setting.origin for setting in settings.resolved.values()}
    assert ("127.0.0.1", 4000, "root") == (settings["host"], settings["port"], settings["user"])
    assert (1800.0, 120.0, 43200.0) == (
        settings["connect_timeout"],
        settings["lock_timeout"],
        settings["resume_max_age"],
    )
    assert ("72h", False, Path("/backup")) == (
        settings["gc_life_time"],
        settings["no_gc"],
        settings["volume"],
    )
    assert ((), None, None, "") == (
        settings["table_filter"],
        settings["bucket"],
        settings["name"],
        settings.password,
    )


@pytest.mark.parametrize("definition", WITH_OPERATORS_VARIABLE, ids=lambda one: one.flag)
def test_flag_then_own_variable_then_the_operators_then_default(definition: Definition) -> None:
    one, two = TEXTS[definition.name]
    assert definition.variable
    operators = {definition.variable: one}
    own = {definition.own_variable: two}
    assert (None, "default") == origin(definition.name, {}, {})
    assert (one, definition.variable) == origin(definition.name, {}, operators)
    assert (two, definition.own_variable) == origin(definition.name, {}, operators | own)
    by_flag = origin(definition.name, {definition.name: one}, {definition.variable: two} | own)
    assert (one, f"--{definition.flag}") == by_flag


@pytest.mark.parametrize("definition", WITH_OPERATORS_VARIABLE, ids=lambda one: one.flag)
def test_an_empty_variable_is_an_unset_one(definition: Definition) -> None:
    one, _ = TEXTS[definition.name]
    assert definition.variable
    empty = {definition.own_variable: "", definition.variable: one}
    assert (one, definition.variable) == origin(definition.name, {}, empty)
    assert (None, "default") == origin(definition.name, {}, dict.fromkeys(empty, ""))


def test_every_setting_has_a_variable_of_its_own() -> None:
    environ = {
        "BACKUP_MANAGER_HOST": "db",
        "BACKUP_MANAGER_PORT": "4001",
        "BACKUP_MANAGER_LOCK_TIMEOUT": "5s",
        "BACKUP_MANAGER_NO_GC": "true",
        "BACKUP_MANAGER_OWNER_UID": "u-1",
    }
    settings = Settings({}, environ)
    assert ("db", 4001, 5.0, True, "u-1") == tuple(
        settings[name] for name in ("host", "port", "lock_timeout", "no_gc", "owner_uid")
    )
    assert "BACKUP_MANAGER_NO_GC" == settings.resolved["no_gc"].origin


@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_a_link_to_a_service_is_no_setting(scheme: str) -> None:
    environ = {"BACKUP_MANAGER_PORT": f"{scheme}://10.0.0.1:80"}
    assert (4000, "default") == origin("port", {}, environ)
    assert (4002, "--port") == origin("port", {"port": "4002"}, environ)


def test_a_switch() -> None:
    assert (False, "default") == origin("no_gc", {"no_gc": False}, {})
    assert (True, "--no-gc") == origin("no_gc", {"no_gc": True}, {})
    assert (False, "BACKUP_MANAGER_NO_GC") == origin("no_gc", {}, {"BACKUP_MANAGER_NO_GC": "0"})
    assert (True, "--no-gc") == origin("no_gc", {"no_gc": True}, {"BACKUP_MANAGER_NO_GC": "0"})


# Repeated ones -----------------------------------------------------------------------------


def test_options_in_a_variable_are_split_as_by_a_shell() -> None:
    environ = {"BACKUP_MANAGER_DUMPLING_OPTION": "--rows=0  --where='id > 5' -t 8"}
    assert (
        ("--rows=0", "--where=id > 5", "-t", "8"),
        "BACKUP_MANAGER_DUMPLING_OPTION",
    ) == origin("dumpling_option", {}, environ)


def test_rules_in_a_variable_are_a_line_each() -> None:
    environ = {"BACKUP_MANAGER_TABLE_FILTER": "\n shop.* \r\n\n!shop.a b, c\n"}
    assert (("shop.*", "!shop.a b, c"), "BACKUP_MANAGER_TABLE_FILTER") == origin(
        "table_filter", {}, environ
    )


def test_flags_replace_what_a_variable_lists() -> None:
    environ = {"BACKUP_MANAGER_TABLE_FILTER": "a.*\nb.*"}
    flags = {"table_filter": ("c.*",)}
    assert (("c.*",), "--table-filter") == origin("table_filter", flags, environ)
    assert (("a.*", "b.*"), "BACKUP_MANAGER_TABLE_FILTER") == origin(
        "table_filter", {"table_filter": ()}, environ
    )


def test_what_cannot_be_split() -> None:
    error = refusal({}, {"BACKUP_MANAGER_DUMPLING_OPTION": "--where='id"})
    assert "BACKUP_MANAGER_DUMPLING_OPTION cannot be split into options" == error.what
    assert "no closing quotation" == error.why


# Wrong values ------------------------------------------------------------------------------

WRONG = {
    "port": ["0", "65536", "-1", "x", "4000.0", "٣", "9" * 5000],
    "connect_timeout": ["0", "0s", "-1s", "soon", "1d", "s", "9999999999h"],
    "provider": ["amazon s3", "cehp"],
    "bucket": ["a", "a/b", "-ab", "a..b", "x" * 256, "bück", "a b"],
    "prefix": ["../a", "a/./b", "a\nb", "x" * 513],
    "log_level": ["loud", "INFO"],
    "no_gc": ["maybe"],
    "tls_ca": ["/no/such/file", "/", "k" * 4000],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts]
)
def test_a_wrong_value_names_its_origin(name: str, text: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    variable = f"BACKUP_MANAGER_{name.upper()}"
    assert f"{variable} is wrong" == refusal({}, {variable: text}).what
    if name != "no_gc":
        assert f"{flag} is wrong" == refusal({name: text}).what


def test_a_wrong_value_in_the_operators_variable_names_that() -> None:
    error = refusal({}, {"S3_PROVIDER": "cehp"})
    assert "S3_PROVIDER is wrong" == error.what
    assert "ceph is meant?" in error.fix


def test_a_pasted_certificate_is_not_shown_again() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\n" + "MIIcanary" * 100
    error = refusal({"tls_key": pem})
    assert "canary" not in error.message


@pytest.mark.parametrize("name", ["name", "schedule", "host", "region", "storage_class", "volume"])
def test_text_that_is_no_utf8(name: str) -> None:
    text = os.fsdecode(b"a\xff")
    assert f"--{name.replace('_', '-')} is no UTF-8 text" == refusal({name: text}).what
    rules = {"table_filter": ("shop.*", text)}
    assert "--table-filter is no UTF-8 text" == refusal(rules).what


# The password ------------------------------------------------------------------------------


def password_from(path: Path, environ: dict[str, str] | None = None) -> tuple[str, str]:
    settings = Settings({"password_file": str(path)}, environ or {})
    return settings.password, settings.password_origin


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b"secret\r", "secret\r"),
        (b" secret \n", " secret "),
        ("pässwörd €\n".encode(), "pässwörd €"),
    ],
)
def test_one_trailing_newline_of_the_password_file_is_dropped(
    tmp_path: Path, content: bytes, password: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert (password, "--password-file") == password_from(file)


def test_the_file_goes_before_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("of the file")
    environ = {"BACKUP_MANAGER_PASSWORD": "of the variable"}
    assert ("of the file", "--password-file") == password_from(file, environ)
    settings = Settings({}, environ)
    assert ("of the variable", "BACKUP_MANAGER_PASSWORD") == (
        settings.password,
        settings.password_origin,
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_password_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert f"the password file {file} is empty" == refusal({"password_file": str(file)}).what


def test_a_password_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"canary\xff")
    error = refusal({"password_file": str(file)})
    assert f"the password file {file} is no UTF-8 text" == error.what
    assert "canary" not in error.message


def test_a_password_in_the_environment_that_is_no_text() -> None:
    password = os.fsdecode(b"canary\xff")
    error = refusal({}, {"BACKUP_MANAGER_PASSWORD": password})
    assert "BACKUP_MANAGER_PASSWORD is no UTF-8 text" == error.what
    assert "canary" not in error.message


def test_a_password_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("secret")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    error = refusal({"password_file": str(file)})
    assert f"the password file {file} cannot be read" == error.what
    assert "Permission denied" == error.why


def test_a_password_file_that_is_a_directory(tmp_path: Path) -> None:
    error = refusal({}, {"BACKUP_MANAGER_PASSWORD_FILE": str(tmp_path)})
    assert "BACKUP_MANAGER_PASSWORD_FILE is wrong" == error.what
    assert f"{tmp_path} is a directory" == error.why


def test_a_path_that_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    error = refusal({"tls_ca": str(tmp_path / "ca.pem")})
    assert "--tls-ca is wrong" == error.what
    assert "Permission denied" in error.why
