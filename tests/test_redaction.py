"""No secret that is known gets through, and nothing else is touched."""

import base64
import html
import json
import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from backup_manager.redaction import Redactor

# Whatever the environment and a file can hold; the mask itself is no secret.
SECRETS = (
    st.text(st.characters(exclude_characters="*"), min_size=4)
    .map(lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))
    .filter(lambda text: "***".find(text) < 0)
)
AROUND = st.text(max_size=20)


def spellings(secret: str) -> list[str]:
    return [
        secret,
        quote(secret, errors="surrogateescape"),
        quote(secret, safe="", errors="surrogateescape"),
        quote_plus(secret, errors="surrogateescape"),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        shlex.quote(secret),
        base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode(),
        *others(secret),
    ]


def others(secret: str) -> list[str]:
    """As other languages and layers spell it."""
    raw = secret.encode("utf-8", "surrogateescape")
    small = [
        re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
        for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw))
    ]
    return [
        *small,
        re.sub(r"\\u[0-9a-f]{4}", lambda m: m[0][:2] + m[0][2:].upper(), json.dumps(secret)),
        ascii(secret)[1:-1],
        repr(raw)[2:-1],
        # In a container whose text has both kinds of quotes.
        repr("'\"" + secret)[4:-1],
        secret.replace("'", "''"),
        raw.hex(),
        raw.hex().upper(),
        base64.urlsafe_b64encode(raw).decode(),
        html.escape(secret),
        # Go's html.EscapeString, and XML's own names.
        html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(secret).replace("&#x27;", "&apos;"),
    ]


@given(secret=SECRETS, before=st.binary(max_size=5), after=st.binary(max_size=5))
@example(secret="canary'p$w\\rd", before=b"user:", after=b"")
def test_a_secret_inside_of_base64(secret: str, before: bytes, after: bytes) -> None:
    """As in a header of Basic authentication: at least its middle goes."""
    raw = secret.encode("utf-8", "surrogateescape")
    assume(len(raw) >= 12)
    packed = base64.b64encode(before + raw + after).decode()
    first, end = -(-8 * len(before) // 6), 8 * len(before + raw) // 6
    # The digits in which bytes beside it have a part tell nothing by themselves.
    assert packed[first:end] not in knowing(secret)(f"Basic {packed}")


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return redactor


@given(secret=SECRETS, before=AROUND, after=AROUND)
@example(secret="don't", before="", after="")
@example(secret="it's \"é&<\x01\n/b", before="", after="")
@example(secret="""it's "b\\ck\nslash" """, before="", after="")
@example(secret=os.fsdecode(b"\xff\xfepass"), before="", after="")
@example(secret="a b/c?d=é&f%20", before="http://x/?", after="&g")
def test_no_spelling_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = knowing(secret)
    for spelling in spellings(secret):
        # What stands around may complete a spelling anew only if it holds it already.
        bare = spelling.strip("'\"")
        assume(bare not in before + after)
        assert spelling not in redactor(before + " " + spelling + " " + after)


@given(st.lists(SECRETS, min_size=2, max_size=4))
def test_several_secrets(secrets: list[str]) -> None:
    redactor = knowing(*secrets)
    text = redactor("\0".join(secrets))
    assert [] == [secret for secret in secrets if secret in text]


def test_the_longer_secret_goes_first() -> None:
    assert "*** ***" == knowing("word", "password")("password word")


NESTED = st.recursive(
    st.just("leaf") | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b"]), inner) | st.tuples(inner)
    ),
)


@given(NESTED)
def test_nested_structures(value: object) -> None:
    marked = json.loads(json.dumps(value).replace("leaf", "the canary sings"))
    shown = repr(knowing("canary").deep({"top": marked}))
    assert "canary" not in shown
    assert repr(marked).count("canary") == shown.count("***")


class Odd:
    def __repr__(self) -> str:
        return "Odd(canary)"


@pytest.mark.parametrize(
    "value",
    [
        {"canary": 1},
        [{"x": {"canary": ["y"]}}],
        {"canary"},
        frozenset({"canary"}),
        Path("/secrets/canary"),
        b"canary",
        ValueError("canary"),
        Odd(),
        ("canary",),
    ],
    ids=repr,
)
def test_whatever_can_be_logged(value: object) -> None:
    assert "canary" not in repr(knowing("canary").deep({"fact": value}))


def test_plain_values_stay_what_they_are() -> None:
    value = {"a": [1, 2.5, True, None, "text"], "b": {"c": -1}}
    assert value == knowing("canary").deep(value)


# Short ones --------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["a", "pw", "x+1"])
def test_a_short_secret_is_masked_as_a_word(secret: str) -> None:
    redactor = knowing(secret)
    assert "login with *** failed" == redactor(f"login with {secret} failed")
    assert "('***')" == redactor(f"('{secret}')")


def test_a_short_secret_does_not_blot_out_other_words() -> None:
    assert "a table was dumped: ***" == knowing("dump", "um")("a table was dumped: um").replace(
        "***ed", "dumped"
    )
    assert "tables and databases" == knowing("a", "tab")("tables and databases")


@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_is_no_secret(empty: str | None) -> None:
    redactor = Redactor()
    redactor.add(empty)
    assert "as it was" == redactor("as it was")


# What looks like a secret ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dumpling --password=hunter2 -h x", "dumpling --password=*** -h x"),
        ("dumpling --password hunter2 -h x", "dumpling --password *** -h x"),
        ("--s3.secret-access-key=abc/def", "--s3.secret-access-key=***"),
        (
            "PUT http://x/k?X-Amz-Credential=AK%2F1&X-Amz-Signature=ff00&n=1",
            "PUT http://x/k?X-Amz-Credential=***&X-Amz-Signature=***&n=1",
        ),
        ("http://x/k?X-Amz-Security-Token=IQoJ", "http://x/k?X-Amz-Security-Token=***"),
        (
            "AWS4-HMAC-SHA256 Credential=AK/2026/s3, SignedHeaders=host, Signature=ff00",
            "AWS4-HMAC-SHA256 Credential=***, SignedHeaders=host, Signature=***",
        ),
        ("mysql://root:hunter2@db:4000/x", "mysql://root:***@db:4000/x"),
    ],
)
def test_patterns(text: str, shown: str) -> None:
    assert shown == Redactor()(text)


@given(st.text())
@example("s3://bucket/prefix/backup-2026-11-22T10:00:00Z-1a2b3c4d")
@example("http://127.0.0.1:7480/a@b")
@example("root@127.0.0.1:4000")
@example("the password is wrong: check --password-file=/secrets/password")
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assume("=" not in text or text.startswith("the password"))
    assume("@" not in text or "://" not in text or text.startswith("http://127"))
    assume("--password " not in text.lower())
    assert text == knowing("canary-that-is-not-there")(text)


# Long texts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit", ["://a:b ", "--password ", "://x:", "Signature=", "x" * 39 + " ", "canar", "pw,", "\\"]
)
def test_long_texts(unit: str) -> None:
    """Dumpling's lines can have megabytes; work that grew with the square would take hours."""
    redactor = knowing("canary" * 5, "x" * 40, "pw")
    text = unit * (2_000_000 // len(unit))
    assert "*** end" == redactor(text + "canary" * 5 + " end")[-7:]
