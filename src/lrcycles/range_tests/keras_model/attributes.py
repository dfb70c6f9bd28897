"""Saves and restores an object's attributes, and the content of its containers and arrays."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

_CONTAINERS = (list, OrderedDict, dict, set, deque)
# A dict of TensorFlow compares itself with its snapshot when it is saved in a checkpoint.
_DICT_STATE = (
    "_self_non_string_key",
    "_self_external_modification",
    "_self_last_wrapped_dict_snapshot",
)


def restore_attributes(owner: Any) -> Callable[[], None]:
    """Return a function that gives `owner` the attributes and contents it has now."""
    before = dict(vars(owner))
    tracker = getattr(owner, "_tracker", None)
    held = [*before.values(), *getattr(tracker, "stored_ids", {}).values()]
    refills = [_content(value) for value in held]

    def restore() -> None:
        # Written into the dict itself: setattr of a Keras object would track the value once more.
        now = vars(owner)
        for name in [name for name in now if name not in before]:
            del now[name]
        for name, value in before.items():
            if now.get(name, owner) is not value:
                now[name] = value
        for refill in refills:
            refill()

    return restore


def _content(value: Any) -> Callable[[], None]:
    if isinstance(value, np.ndarray):
        numbers = value.copy()
        return lambda: np.copyto(value, numbers)
    container = getattr(value, "__wrapped__", value)
    kind: Any = next((kind for kind in _CONTAINERS if isinstance(container, kind)), None)
    if kind is None:
        return lambda: None
    restores = [_items(kind, container)]
    if hasattr(container, "_storage"):  # a list of TensorFlow keeps its items a second time
        restores.append(restore_attributes(container))
    if container is not value:
        restores += [_attribute(value, name) for name in _DICT_STATE if hasattr(value, name)]

    def restore() -> None:
        for part in restores:
            part()

    return restore


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
