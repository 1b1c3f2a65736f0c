"""Whatever a file has in it: it is rendered, or refused with lines and words."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no annotations of its own
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .rendering import BACKUP, SCHEDULE, Rendered, render
from .test_live import live
from .test_output import TAKEN_OTHERWISE

MORE = """\
apiVersion: pingcap.com/v1alpha1
kind: BackupSchedule
metadata: {name: all, labels: {a: b}, annotations: {c: d}}
spec:
  schedule: "@daily"
  timeZone: Etc/UTC
  pause: true
  maxBackups: 3
  imagePullSecrets: [{name: r}]
  backupTemplate:
    from: {host: tidb, secretName: s, tlsClientSecretName: t}
    s3:
      provider: ceph
      endpoint: http://rgw:7480
      bucket: backups
      prefix: a/b
      options: [--ignore-checksum]
      forcePathStyle: true
    dumpling: {options: [--threads=4], tableFilter: ["a.b"]}
    tableFilter: ["*.*"]
    tikvGCLifeTime: 72h
    env: [{name: A, value: b}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    additionalVolumes: [{name: v, emptyDir: {}}]
    additionalVolumeMounts: [{name: v, mountPath: /v}]
    podSecurityContext: {runAsUser: null}
    resources: {limits: {cpu: 1}}
    tolerations: [{key: k}]
    toolImage: x
    useKMS: true
    cleanPolicy: Delete
    br: {cluster: x}
"""
BODIES = [yaml.safe_load(text) for text in (BACKUP, SCHEDULE, MORE)]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(TAKEN_OTHERWISE)
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
QUICK = settings(max_examples=60, deadline=None)  # a busy machine has its moments


def paths(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(body, dict | list):
        inner = body.items() if isinstance(body, dict) else enumerate(body)
        for key, value in inner:
            yield from paths(value, (*path, key))


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    made = body.copy()
    made[path[0]] = replaced(body[path[0]], path[1:], value)
    return made


def assert_sound(made: Rendered) -> None:
    """`render` itself has held it against the exit codes; this is about the words."""
    if made.exit_code:
        assert made.errors
        for error in made.errors:
            assert ". To do: " in error, error
            assert not error.endswith((" ", ":")), error
            assert "NoneType" not in error, error
    else:
        assert made.objects


def test_what_is_changed_here_is_right_before() -> None:
    for text in (BACKUP, SCHEDULE, MORE):
        assert_sound(render(text))
        assert 0 == render(text).exit_code


@pytest.mark.parametrize("number", range(len(BODIES)))
@pytest.mark.parametrize("value", [None, True, 1.5, "", "a b", [None], {"a": None}])
def test_any_field_with_any_kind_of_value(number: int, value: Any) -> None:
    body = BODIES[number]
    for path in paths(body):
        assert_sound(render(json.dumps(replaced(body, path, value))))


@given(st.data())
@QUICK
def test_any_field_with_any_value(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(BODIES))
    path = data.draw(st.sampled_from(list(paths(body))))
    value = data.draw(VALUES)
    assert_sound(render(yaml.safe_dump(replaced(body, path, value), allow_unicode=True)))


LINES = st.sampled_from([line for text in (BACKUP, SCHEDULE, MORE) for line in text.splitlines()])
SIGNS = "\t \n:-#'\"{}[],&*!|>%@`?~$<=\0\x85\u00a0\u2028\ufeff\r.0a"


@given(st.sampled_from([BACKUP, SCHEDULE, MORE]), st.data())
@QUICK
def test_any_sign_anywhere(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.text(SIGNS, max_size=3)) + text[at + gone :]
    assert_sound(render(text))


@given(st.lists(st.tuples(st.sampled_from(["", " ", "  ", "    ", "\t", "- "]), LINES), max_size=9))
@QUICK
def test_any_lines_in_any_order(lines: list[tuple[str, str]]) -> None:
    made = render("".join(f"{before}{line}\n" for before, line in lines))
    assert_sound(made)


@given(st.integers(0, 40), st.integers(0, 8), st.sampled_from([BACKUP, SCHEDULE]))
@QUICK
@example(6, 0, BACKUP)
def test_any_line_with_any_indentation(line: int, indent: int, text: str) -> None:
    lines = text.splitlines()
    line %= len(lines)
    lines[line] = " " * indent + lines[line].lstrip()
    assert_sound(render("\n".join(lines)))


@given(st.binary(max_size=60) | st.text(SIGNS + "abc", max_size=60).map(str.encode))
@QUICK
@example(bytes(range(256)))
@example(b"\x1f\x8b\x08\x00")
def test_any_bytes(data: bytes) -> None:
    assert_sound(render(data))
    assert_sound(render(BACKUP.encode() + b"---\n" + data))


@given(st.integers(0, 4000))
@settings(max_examples=30, deadline=None)  # the same
def test_a_file_that_was_cut(length: int) -> None:
    whole = json.dumps(live(BACKUP), indent=2)
    for text in (whole, MORE):
        assert_sound(render(text[: length % len(text)]))
