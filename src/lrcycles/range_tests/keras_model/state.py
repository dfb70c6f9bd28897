"""Saves and restores all state of a Keras model and of the random generators.

Keras has no public way to read its global random generator, its counters of layer names, or what
`compile` stores on a model. All uses of Keras's private names for these are in this file.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from lrcycles.errors import InputError
from lrcycles.range_tests.keras_model import reachable
from lrcycles.range_tests.keras_model.attributes import restore_attributes

# Where a `tf.function` keeps what it has traced, also for the instances that it is a method of.
_TRACES = {
    "_created_variables",
    "_descriptor_cache",
    "_function_cache",
    "_function_captures",
    "_no_variable_creation_config",
    "_variable_creation_config",
}
GENERATOR, NAMES = "global_seed_generator", "object_name_uids"


class Snapshot:
    """A copy of variables' values on the host, which can be restored any number of times."""

    def __init__(self, variables: Iterable[Any]) -> None:
        unique = {id(variable): variable for variable in variables}.values()
        self._values = [(variable, host(variable)) for variable in unique]

    def restore(self) -> None:
        """Assign every variable its saved value."""
        for variable, value in self._values:
            # Copied, because JAX may train in the memory of the array that it is given.
            variable.assign(value.copy())

    def changed(self, by: float = 0.0) -> list[Any]:
        """Return the variables of which a value differs from the saved one by more than `by`."""
        return [variable for variable, value in self._values if _distance(variable, value) > by]


def _distance(variable: Any, value: np.ndarray) -> float:
    now = host(variable)
    if now.dtype.kind not in "fiu":  # bfloat16, booleans and strings
        return 0.0 if now.tobytes() == value.tobytes() else math.inf
    with np.errstate(invalid="ignore"):
        return float(np.abs(now.astype(float) - value.astype(float)).max(initial=0.0))


def variables_of(model: Any, parts: list[Any]) -> list[Any]:
    """Return every variable that training can change, of Keras and of TensorFlow."""
    optimizers = [v for part in reachable.optimizers_of(parts) for v in part.variables]
    # Metrics that no batch has built yet are no part of model.metrics.
    metrics = [*model.metrics, *(part for part in parts if isinstance(part, keras.Metric))]
    of_metrics = [variable for metric in metrics for variable in metric.variables]
    held = reachable.variables_held_by(parts)
    unique = {id(v): v for v in [*model.variables, *optimizers, *of_metrics, *held]}
    inner = {id(variable.value) for variable in unique.values() if hasattr(variable, "constraint")}
    return [variable for key, variable in unique.items() if key not in inner]


@contextmanager
def undisturbed(model: Any, optimizer: Any = None) -> Iterator[None]:
    """Restore a built `model`, and `optimizer`, after the body, also if the body raises.

    Inside the body the model has no compiled functions, and those of the user have no traces,
    because these hold the original learning rate. Afterwards the variables, metrics, compiled
    functions and all attributes of the model and of everything that it holds are the same objects
    with the same values as before.
    """
    compiled = [p for p in (model._compile_loss, model._compile_metrics) if p is not None]
    roots = [model, *compiled, *([] if optimizer is None else [optimizer])]
    parts = reachable.parts_of(*roots)
    restores = [restore_attributes(part) for part in parts]
    traced = reachable.traced_functions(parts)
    restores += [restore_attributes(function) for function in traced]
    restores += [_generator(held) for held in reachable.random_generators(parts)]
    restores += [Snapshot(variables_of(model, parts)).restore, _names()]
    try:
        model.train_function = model.test_function = None
        for function in traced:
            _forget_traces(function)
        yield
    finally:
        run_all(restores)


@contextmanager
def same_randomness() -> Iterator[None]:
    """Restore the random state of Python, NumPy and Keras after the body, also if it raises."""
    restores = [*_tensorflow(), _python_and_numpy(), _keras_generator()]
    try:
        yield
    finally:
        run_all(restores)


def seed_globals(seed: int) -> None:
    """Seed the global generators of Python, NumPy and Keras.

    TensorFlow's global seed is not set, because that would reset the user's seeded operations.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    global_state.set_global_attribute(GENERATOR, None)  # Keras makes a new one, seeded by Python's


def seed_layers(model: Any, seed: int) -> None:
    """Seed the random generators of the model's layers, such as dropout."""
    # [seed, 0] gives the numbers of seed, which order the data.
    draw = np.random.default_rng([seed, 1])
    for variable in model.non_trainable_variables + model.variables:
        if variable.name == "seed_generator_state":
            variable.assign(np.array([draw.integers(2**31), 0], dtype=variable.dtype))


def fresh_values(model: Any) -> list[np.ndarray]:
    """Draw new initial weights for `model`, in the order of its weights.

    Raises:
        InputError: Keras cannot clone the model.
    """
    try:
        clone = keras.models.clone_model(model)
    except (ValueError, NotImplementedError, TypeError) as error:
        raise InputError(
            "fresh_weights must be used with a Sequential or functional model whose layers have "
            f"get_config. Received: {type(model).__name__}. "
            "Leave fresh_weights out to start from the present weights."
        ) from error
    return [host(variable) for variable in clone.weights]


def host(variable: Any) -> np.ndarray:
    """Copy a variable's value to the host."""
    # Copied, because the converted array may share its memory with the variable.
    return np.array(keras.ops.convert_to_numpy(variable))


def _forget_traces(function: Any) -> None:
    """Let a `tf.function` trace anew: its traces have the original learning rate as a constant."""
    untraced = vars(function._clone(function.python_function))
    for name in _TRACES & untraced.keys():
        setattr(function, name, untraced[name])


def _generator(generator: Any) -> Callable[[], None]:
    if isinstance(generator, random.Random):
        python = generator.getstate()
        return lambda: generator.setstate(python)
    if isinstance(generator, np.random.RandomState):
        legacy = generator.get_state()
        return lambda: generator.set_state(legacy)
    bits = copy.deepcopy(generator.bit_generator.state)

    def restore() -> None:
        generator.bit_generator.state = bits

    return restore


def _python_and_numpy() -> Callable[[], None]:
    python, numpy = random.getstate(), np.random.get_state()

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)

    return restore


def _keras_generator() -> Callable[[], None]:
    # Keras makes another generator meanwhile, so the state of this one does not change.
    generator = global_state.get_global_attribute(GENERATOR)
    global_state.set_global_attribute(GENERATOR, None)
    return lambda: global_state.set_global_attribute(GENERATOR, generator)


def _names() -> Callable[[], None]:
    """Save Keras's counters of names, so that later layers get the names they would have had."""
    counts = dict(global_state.get_global_attribute(NAMES) or {})

    def restore() -> None:
        now = global_state.get_global_attribute(NAMES)
        if now is not None:
            now.clear()
            now.update(counts)

    return restore


def _tensorflow() -> Iterator[Callable[[], None]]:
    """Save TensorFlow's stream of operation seeds, from which a custom layer may draw."""
    if keras.backend.backend() != "tensorflow":
        return
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    if (generator := stateful_random_ops.global_generator) is not None:
        yield Snapshot([generator.state]).restore

    stream = getattr(context.context(), "_rng", None)
    if stream is None:  # no seed was set, so nothing can be repeated anyway
        return
    state = stream.getstate()

    def restore() -> None:
        if stream.getstate() != state:
            stream.setstate(state)
            # Cached kernels hold their own position in the random numbers of a seed.
            context.context().clear_kernel_cache()

    yield restore


def run_all(restores: Iterable[Callable[[], None]]) -> None:
    """Run every function, also if one of them raises."""
    with ExitStack() as stack:
        for restore in restores:
            stack.callback(restore)
