"""All that render may make, as one tree: on which switches each part of it hangs.

It is found by trying: with everything given, and with each single thing left away.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import chain
from typing import Any

from .worlds import FULL, SWITCHES, World, objects

# From the outermost object on: keys, and what tells the items of a list apart.
Steps = tuple[str, ...]
# Switches, and whether they have to be on.
Conditions = dict[str, bool]


class Shape(Enum):
    """What holds others."""

    MAPPING = "mapping"
    SEQUENCE = "sequence"


@dataclass
class Node:
    """A part of the whole, under its conditions beside those of what holds it.

    Where ``unless`` holds, a leaf is ``value``, and else ``other``.
    """

    value: Any
    conditions: Conditions
    unless: Conditions = field(default_factory=dict)
    other: Any = None
    children: dict[str, "Node"] = field(default_factory=dict)


def whole() -> Node:
    """Return the tree of all objects; its children are told apart by their kinds."""
    homes: dict[Steps, World] = {}
    root = Node(Shape.SEQUENCE, {})
    for world in [FULL, *(FULL ^ {switch} for switch in SWITCHES)]:
        before: dict[Steps, str] = {}
        for steps in _flat(world):
            if not steps:
                continue
            parent = _at(root, steps[:-1])
            if steps not in homes:
                homes[steps] = world
                node = _node(steps, world)
                for inherited in _lineage(root, steps[:-1]):
                    for name in inherited.conditions:
                        node.conditions.pop(name, None)
                _insert(parent.children, steps[-1], node, before.get(steps[:-1]))
            before[steps[:-1]] = steps[-1]
    return root


def _node(steps: Steps, world: World) -> Node:
    value = _flat(world)[steps]
    node = Node(value, {})
    for switch in SWITCHES:
        others = _flat(world ^ {switch})
        if steps not in others:
            node.conditions[switch] = switch in world
        elif others[steps] != value:
            if node.unless and others[steps] != node.other:
                raise ValueError(f"{steps} has more than two values: write it as two fields")
            node.unless[switch] = switch in world
            node.other = others[steps]
    return node


def _lineage(root: Node, steps: Steps) -> Iterator[Node]:
    node = root
    for step in steps:
        node = node.children[step]
        yield node


def _at(root: Node, steps: Steps) -> Node:
    *_, node = chain([root], _lineage(root, steps))
    return node


def _insert(children: dict[str, Node], name: str, node: Node, after: str | None) -> None:
    order = list(children)
    order.insert(order.index(after) + 1 if after is not None else 0, name)
    children[name] = node
    for each in order:
        children[each] = children.pop(each)


@cache
def _flat(world: World) -> dict[Steps, Any]:
    found: dict[Steps, Any] = {}

    def walk(value: Any, steps: Steps) -> None:
        if isinstance(value, dict):
            found[steps] = Shape.MAPPING
            for key, inner in value.items():
                walk(inner, (*steps, key))
        elif isinstance(value, list):
            found[steps] = Shape.SEQUENCE
            for item in value:
                walk(item, (*steps, _identity(item)))
        else:
            found[steps] = value

    walk(objects(world), ())
    return found


def _identity(item: Any) -> str:
    if isinstance(item, dict):
        return str(item.get("kind") or item.get("name") or item)
    return str(item)
