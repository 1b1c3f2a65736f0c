import re

import pytest

from backup_manager.dumpling.template import check
from backup_manager.errors import UsageError

OBJECT = '{{template "objectName" .}}'


@pytest.mark.parametrize(
    "text",
    [
        "{{fn .DB}}.{{fn .Table}}.{{.Index}}",
        "{{ fn .DB }}/{{- fn .Table -}}/{{ .Index }}",
        f"{OBJECT}-{{{{.Index}}}}",
        '{{define "table"}}{{fn .DB}}_{{fn .Table}}{{end}}',
        '{{define "data"}}{{fn .DB}}_{{fn .Table}}_{{.Index}}{{end}}',
        "{{if true}}{{fn .DB}}{{end}}{{fn .Table}}{{.Index}}",
        '{{define "schema"}}{{fn .DB}}{{end}}{{fn .DB}}.{{fn .Table}}.{{.Index}}',
    ],
)
def test_templates_that_tell_files_apart(text: str) -> None:
    assert [] == check(text, splits=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{fn .DB}}.{{fn .Table}}", "without {{.Index}}"),
        (OBJECT, "without {{.Index}}"),
        ("{{fn .Table}}.{{.Index}}", "lack {{fn .DB}}"),
        ("{{fn .DB}}.{{.Index}}", "lack {{fn .Table}}"),
        ("result", "lack {{fn .DB}} and {{fn .Table}}"),
        ("fn .DB fn .Table .Index", "lack"),
        ('{{define "data"}}x{{end}}', "data files lack"),
        ('{{define "table"}}{{fn .DB}}{{end}}', "table files lack {{fn .Table}}"),
        ('{{define "objectName"}}x{{end}}' + OBJECT + "{{.Index}}", "lack"),
        ("/etc/{{fn .DB}}.{{fn .Table}}.{{.Index}}", "outside"),
        ("../{{fn .DB}}.{{fn .Table}}.{{.Index}}", "outside"),
    ],
)
def test_templates_that_lose_files(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        check(text, splits=True)


def test_without_splitting_the_index_may_miss() -> None:
    assert [] == check("{{fn .DB}}.{{fn .Table}}", splits=False)


def test_raw_names_are_warned_of() -> None:
    (warning,) = check("{{.DB}}.{{.Table}}.{{.Index}}", splits=True)
    assert "{{fn .DB}}" in warning
