"""Objects as YAML or JSON: the same bytes for the same objects."""

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]  # it has no annotations of its own

# What no reader of YAML takes for anything else: others know more numbers than PyYAML does.
_PLAIN = re.compile(
    r"[A-Za-z/][A-Za-z0-9/_.-]*|--[a-z][A-Za-z0-9-]*(=[A-Za-z0-9/_.:$()-]*[A-Za-z0-9)])?"
)
_WORDS = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # for want of PyYAML's annotations
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: _Dumper, text: str) -> Any:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def written(objects: Sequence[Any], form: str) -> str:
    """Return the objects as documents of YAML, or as a List in JSON."""
    if form == "json":
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    documents = [as_yaml(each) for each in objects]
    return "".join(f"---\n{text}" for text in documents)


def as_yaml(value: Any) -> str:
    """Return one value as YAML, its keys in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text
