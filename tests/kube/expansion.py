"""$(NAME) in a container's arguments, as the kubelet fills it in.

Source: k8s.io/kubernetes, third_party/forked/golang/expansion.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """What is unknown stays as it stands, and $$ is a $ that begins nothing."""

    def value(found: re.Match[str]) -> str:
        name: str | None = found[1]
        return "$" if name is None else variables.get(name, found[0])

    return _REFERENCE.sub(value, text)
