"""Secrets never leave the process: every text that does goes through a Redactor."""

import base64
import html
import json
import re
import shlex
from urllib.parse import quote, quote_plus

_MASK = "***"
# Shorter secrets would blot out half of every text; as whole words they are masked all the same.
_LONG_ENOUGH = 4
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
        quoted = quote(secret, safe="", errors="surrogateescape")
        spellings = {
            secret,
            quoted,
            quote(secret, errors="surrogateescape"),
            quote_plus(secret, errors="surrogateescape"),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            shlex.quote(secret).strip("'"),
            base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode(),
        }
        # As Go's encoding/json and HTML write it, as SQL doubles quotes, and in lower-case %XX.
        spellings |= {
            "".join(f"\\u{ord(c):04x}" if c in "&<>" else c for c in text) for text in spellings
        }
        spellings |= {
            html.escape(secret),
            secret.replace("'", "''"),
            re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted),
            quote(secret, safe="$&+,;=", errors="surrogateescape"),
            secret.encode("utf-8", "surrogateescape").hex(),
        }
        # The longest first: one spelling may contain another.
        self._long = sorted({*self._long, *spellings}, key=len, reverse=True)

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
