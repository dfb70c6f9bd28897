"""Saves and restores an object's attributes, and the content of its containers and arrays."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from lrcycles.range_tests.keras_model import reachable

_CONTAINERS = (list, OrderedDict, dict, set, deque)
MOST_ITEMS = 10_000  # the items of a longer container, such as a replay buffer, are not copied
# A dict of TensorFlow compares itself with its snapshot when it is saved in a checkpoint.
_DICT_STATE = (
    "_self_non_string_key",
    "_self_external_modification",
    "_self_last_wrapped_dict_snapshot",
)


def restore_attributes(owner: Any) -> Callable[[], None]:
    """Return a function that gives `owner` the attributes and contents it has now."""
    before = dict(getattr(owner, "__dict__", {}))
    every = reachable.attributes_of(owner)
    in_slots = {name: value for name, value in every.items() if name not in before}
    tracker = getattr(owner, "_tracker", None)
    held = [*every.values(), *getattr(tracker, "stored_ids", {}).values()]
    refills = [_content(value) for value in held]

    def restore() -> None:
        # Written into the dict itself: setattr of a Keras object would track the value once more.
        now = getattr(owner, "__dict__", {})
        for name in [name for name in now if name not in before]:
            del now[name]
        for name, value in before.items():
            if now.get(name, owner) is not value:
                now[name] = value
        for name, value in in_slots.items():
            setattr(owner, name, value)
        for refill in refills:
            refill()

    return restore


def _content(value: Any, outer: frozenset[int] = frozenset()) -> Callable[[], None]:
    """Save the items of a container and of the containers in it.

    Args:
        outer: the ids of the containers around it: a container may hold itself.
    """
    if isinstance(value, np.ndarray):
        numbers = value.copy()
        return lambda: np.copyto(value, numbers)
    container = getattr(value, "__wrapped__", value)
    kinds = (tuple, *_CONTAINERS)
    kind: Any = next((kind for kind in kinds if isinstance(container, kind)), None)
    if kind is None or id(container) in outer:
        return lambda: None
    within = outer | {id(container)}
    inner = kind.values(container) if issubclass(kind, dict) else kind.__iter__(container)
    few = kind.__len__(container) <= MOST_ITEMS
    restores = [_content(item, within) for item in inner if few and _may_change(item)]
    if kind is not tuple:
        restores.append(_items(kind, container))
    if hasattr(container, "_storage"):  # a list of TensorFlow keeps its items a second time
        restores.append(restore_attributes(container))
    if container is not value:
        restores += [_attribute(value, name) for name in _DICT_STATE if hasattr(value, name)]

    def restore() -> None:
        for part in restores:
            part()

    return restore


def _may_change(item: Any) -> bool:
    return isinstance(item, (np.ndarray, tuple, *_CONTAINERS))


def _items(kind: Any, container: Any) -> Callable[[], None]:
    """Save the items; the methods of the base class change a container without tracking."""

    def present() -> list[Any]:
        return list(kind.items(container) if issubclass(kind, dict) else kind.__iter__(container))

    content = present()

    def restore() -> None:
        now = present()
        if len(now) != len(content) or not all(map(_same, now, content)):
            kind.clear(container)
            (kind.update if issubclass(kind, dict | set) else kind.extend)(container, content)

    return restore


def _attribute(owner: Any, name: str) -> Callable[[], None]:
    value = getattr(owner, name)
    return lambda: setattr(owner, name, value)


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second) == 2:
        return first[0] is second[0] and first[1] is second[1]  # of a dict
    return first is second
