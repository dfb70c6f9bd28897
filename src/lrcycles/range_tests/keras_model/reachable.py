"""Finds all that a model holds and that its training can change."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np

# Objects of these packages are only followed where they are parts of a Keras model.
_LIBRARIES = {"keras", "tensorflow", "jax", "jaxlib", "torch", "numpy", "pandas", "scipy", "optree"}
_PARTS = (
    keras.Layer,
    keras.Metric,
    keras.Loss,
    keras.optimizers.Optimizer,
    keras.random.SeedGenerator,
    SimpleNamespace,
)
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


def parts_of(*roots: Any) -> list[Any]:
    """Return the roots and every layer, loss, metric, optimizer and own object that they hold.

    An own object is an instance of a class that the user wrote. Lists, tuples, sets and dicts are
    searched, also nested ones.
    """
    found: dict[int, Any] = {}
    waiting = deque(roots)
    while waiting:
        part = waiting.popleft()
        if id(part) in found or not _is_part(part):
            continue
        found[id(part)] = part
        waiting.extend(held_by(part))
    return list(found.values())


def attributes_of(part: Any) -> dict[str, Any]:
    """Return the attributes of a part, also those in `__slots__`."""
    slots = [name for kind in type(part).__mro__ for name in _listed(vars(kind).get("__slots__"))]
    in_slots = {name: getattr(part, name) for name in slots if hasattr(part, name)}
    return {**in_slots, **getattr(part, "__dict__", {})}


def held_by(part: Any) -> Iterator[Any]:
    """Yield the values of a part's attributes, and the items of containers instead of these."""
    seen: set[int] = set()
    waiting = deque([*attributes_of(part).values(), *_class_attributes(part)])
    while waiting:
        value = waiting.popleft()
        inner = _items(value)
        if inner is None:
            inner = _used(value)
            yield value
        if inner and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(inner)


def _class_attributes(part: Any) -> list[Any]:
    """Return the attributes of the user's classes of a part, with their methods."""
    own = [kind for kind in type(part).__mro__ if _is_own(kind)]
    return [value for kind in own for value in vars(kind).values()]


def _items(value: Any) -> list[Any] | None:
    """Return the items of a container; None for others."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple | set | deque) else None


def _used(value: Any) -> list[Any]:
    """Return what a function or method uses: its object, closure, defaults and global names."""
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, classmethod | staticmethod):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget]
    if is_traced(value):
        return [value.python_function]
    if not isinstance(value, FunctionType):
        return []
    cells = []
    for cell in value.__closure__ or ():
        with suppress(ValueError):  # an empty cell
            cells.append(cell.cell_contents)
    defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    names = _names(value.__code__) if _is_own(value) else ()
    used = [value.__globals__.get(name) for name in names]
    return [*cells, *defaults, *filter(_is_global_state, used)]


def _names(code: CodeType) -> set[str]:
    """Return the global names and attributes that code uses, with the functions inside of it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_global_state(value: Any) -> bool:
    """Return whether a global that a function uses can be state of the training, or lead to it."""
    kinds = (*_PARTS, *_GENERATORS, keras.Variable, FunctionType)
    return (isinstance(value, kinds) and not isinstance(value, type)) or (
        is_traced(value) or _is_tensorflow_variable(value)
    )


def is_traced(value: Any) -> bool:
    """Return whether a value is a function compiled by `tf.function`."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(
        value, tensorflow.types.experimental.PolymorphicFunction
    )


def _is_tensorflow_variable(value: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(value, tensorflow.Variable)


def optimizers_of(parts: list[Any]) -> list[Any]:
    """Return the optimizers among the parts; inner ones follow the optimizer that holds them."""
    return [part for part in parts if isinstance(part, keras.optimizers.Optimizer)]


def variables_held_by(parts: list[Any]) -> list[Any]:
    """Return the variables of Keras and of TensorFlow that the parts hold.

    Keras's own `variables` leave out tf.Variables, and some slots of optimizers.
    """
    values = [value for part in parts for value in held_by(part)]
    variables = [value for value in values if isinstance(value, keras.Variable)]
    if keras.backend.backend() != "tensorflow":
        return variables
    import tensorflow as tf

    variables += [value.state for value in values if isinstance(value, tf.random.Generator)]
    return variables + [value for value in values if isinstance(value, tf.Variable)]


def random_generators(parts: list[Any]) -> list[Any]:
    """Return the random generators of Python and NumPy that the parts hold."""
    return [v for part in parts for v in held_by(part) if isinstance(v, _GENERATORS)]


def traced_functions(parts: list[Any]) -> list[Any]:
    """Return the functions of the parts that the user has compiled with `tf.function`."""
    return [value for part in parts for value in held_by(part) if is_traced(value)]


def _is_part(value: Any) -> bool:
    if isinstance(value, _PARTS):
        return True
    return _is_own(type(value)) and not isinstance(value, type | ModuleType)


def _is_own(kind: type | FunctionType) -> bool:
    package = kind.__module__.partition(".")[0]
    library = package in _LIBRARIES or package in sys.stdlib_module_names
    return package == "__main__" or not library


def _listed(slots: Any) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots or ())
    return [name for name in names if not name.startswith("__")]
