"""Secrets never leave the process: every text that does goes through a Redactor."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

_MASK = "***"
# Shorter secrets would blot out half of every text; as whole words they are masked all the same.
_LONG_ENOUGH = 4
# A piece of base64 that is shorter than this may be a word, or a piece of another one.
_LEAST_BASE64 = 8
# What looks like a secret is masked even where the value is not known to us: a presigned URL, a
# DSN, a flag, a header.
_PATTERNS = (
    re.compile(r"(?i)(--?(?:password|s3\.secret-access-key)[= ])[^\s'\"]+"),
    re.compile(r"(?i)(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+"),
    re.compile(r"(?i)((?:Signature|Credential)=)[^&,\s\"']+"),
    re.compile(r"(?i)(://[^:/@\s]+:)[^@/\s]+(?=@)"),
)


class Redactor:
    """Masks the secrets that it was told of, in each spelling in which they may turn up."""

    def __init__(self) -> None:
        self._long: list[str] = []
        self._words: re.Pattern[str] | None = None
        self._short: set[str] = set()

    def add(self, secret: str | None) -> None:
        """Learn a secret; empty ones are none."""
        if not secret:
            return
        if len(secret) < _LONG_ENOUGH:
            self._short.add(re.escape(secret))
            self._words = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(self._short))})(?!\w)")
            return
        # The longest first: one spelling may contain another.
        self._long = sorted({*self._long, *_spellings(secret)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._long:
            if secret in text:
                text = text.replace(secret, _MASK)
        if self._words:
            text = self._words.sub(_MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{_MASK}", text)
        return text

    def deep(self, value: object) -> object:
        """Redact a structure of lists and dictionaries; other objects become text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(key)): self.deep(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return self(str(value))


def _spellings(secret: str) -> set[str]:
    """Return a secret as layers, languages and libraries write it into their texts."""
    raw = secret.encode("utf-8", "surrogateescape")
    urls = {quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="$&+,;=")}
    escaped = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(raw)[2:-1],
        # What stands around it decides which quotes are escaped.
        repr("'\"" + secret)[4:-1],
        secret.replace("'", "''"),
        shlex.quote(secret).strip("'"),
    }
    # As Go's encoding/json writes it, and with hex digits in the other case.
    escaped |= {_replaced(r"[&<>]", text, lambda mark: f"\\u{ord(mark):04x}") for text in escaped}
    escaped |= {_replaced(r"\\u[0-9a-f]{4}", text, _upper) for text in escaped}
    urls |= {_replaced(r"%[0-9A-F]{2}", text, str.lower) for text in urls}
    marked = html.escape(secret)
    entities = {
        marked,
        marked.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        marked.replace("&#x27;", "&apos;"),
    }
    return {*escaped, *urls, *entities, raw.hex(), raw.hex().upper(), *_base64(raw)}


def _replaced(pattern: str, text: str, change: Callable[[str], str]) -> str:
    return re.sub(pattern, lambda match: change(match[0]), text)


def _upper(escape: str) -> str:
    return escape[:2] + escape[2:].upper()


def _base64(raw: bytes) -> Iterator[str]:
    """Yield it in base64, and what stays of that wherever it stands in a longer text."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        for before in range(3):
            # A digit of which other bytes have a part is none of ours.
            bits = 8 * before
            text = encode(b"\0" * before + raw).decode()
            middle = text[-(-bits // 6) : (bits + 8 * len(raw)) // 6]
            if len(middle) >= _LEAST_BASE64:
                yield middle
