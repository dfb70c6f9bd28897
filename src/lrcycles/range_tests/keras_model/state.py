"""Saves and restores all state of a Keras model and of the random generators.

Keras has no public way to read its global random generator, its counters of layer names, or what
`compile` stores on a model. All uses of Keras's private names for these are in this file.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from lrcycles.errors import InputError

RATE = 0.001  # the learning rate of a copied optimizer until the sweep sets one
GENERATOR, NAMES = "global_seed_generator", "object_name_uids"


class Snapshot:
    """A copy of variables' values on the host, which can be restored any number of times."""

    def __init__(self, variables: Iterable[Any]) -> None:
        unique = {id(variable): variable for variable in variables}.values()
        self._values = [(variable, _host(variable)) for variable in unique]

    def restore(self) -> None:
        """Assign every variable its saved value."""
        for variable, value in self._values:
            variable.assign(
                value.copy()
            )  # JAX may train in the memory of the array that it is given


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Restore a built `model` after the body, also if the body raises.

    Inside the body the model has no compiled functions, because they were traced with the original
    optimizer. Afterwards the variables, metrics, compiled functions and all attributes of the model
    are the same objects with the same values as before.
    """
    parts = [part for part in (model._compile_loss, model._compile_metrics) if part is not None]
    restores = [_attributes(owner) for owner in (model, *parts)]
    restores += [Snapshot([*model.variables, *_metric_variables(model)]).restore, _names()]
    try:
        model.train_function = model.test_function = None
        yield
    finally:
        _run_all(restores)


@contextmanager
def same_randomness() -> Iterator[None]:
    """Restore the random state of Python, NumPy and Keras after the body, also if it raises."""
    restores = [*_tensorflow(), _python_and_numpy(), _keras_generator()]
    try:
        yield
    finally:
        _run_all(restores)


def seed_globals(seed: int) -> None:
    """Seed the global generators of Python, NumPy and Keras.

    TensorFlow's global seed is not set, because that would reset the user's seeded operations.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    global_state.set_global_attribute(GENERATOR, None)  # Keras makes a new one, seeded by Python's


def seed_layers(model: Any, seed: int) -> None:
    """Seed the random generators of the model's layers, such as dropout."""
    draw = np.random.default_rng(
        [seed, 1]
    )  # [seed, 0] gives the numbers of seed, which order the data
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
    return [_host(variable) for variable in clone.weights]


def copied_optimizer(
    optimizer: Any, model: Any, *, keep_state: bool, scale_loss: bool = False
) -> Any:
    """Build an optimizer for `model` with the settings of `optimizer` and a variable rate.

    The original optimizer is only read. Its schedule is not copied.

    Args:
        keep_state: also copy momenta and iterations, if there are any.
        scale_loss: wrap the copy in a LossScaleOptimizer, as `compile` does under mixed_float16.

    Raises:
        InputError: the optimizer cannot be made from its configuration, or it was built for other
            weights than those of the model.
    """
    copy = _copied_settings(optimizer)
    if scale_loss and not isinstance(copy, keras.optimizers.LossScaleOptimizer):
        copy = keras.optimizers.LossScaleOptimizer(copy)
    copy.build(model.trainable_variables)
    if keep_state and optimizer.built:
        old, new = _slots(optimizer), _slots(copy)
        if [v.shape for v in old] != [v.shape for v in new]:
            raise InputError(
                "The optimizer must be built for the model's "
                f"{len(model.trainable_variables)} trainable weights. "
                f"Received: {type(optimizer).__name__} built for other weights. "
                "Compile the model again."
            )
        for source, target in zip(old, new, strict=True):
            target.assign(_host(source))
    return copy


def accumulation_steps(optimizer: Any) -> int:
    """Return the number of mini-batches in one update."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(inner.gradient_accumulation_steps or 1)


def velocity_momentum(optimizer: Any) -> float:
    """Return the momentum of SGD or RMSprop, and 0 for other optimizers."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    has_velocity = isinstance(inner, keras.optimizers.SGD | keras.optimizers.RMSprop)
    return float(inner.momentum) if has_velocity else 0.0


def _copied_settings(optimizer: Any) -> Any:
    kind = type(optimizer)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return kind(
            _copied_settings(optimizer.inner_optimizer),
            initial_scale=optimizer.initial_scale,
            dynamic_growth_steps=optimizer.dynamic_growth_steps,
            name=optimizer.name,
        )
    # get_config is called on a copy without the schedule: many schedules have no get_config.
    shell = object.__new__(kind)
    vars(shell).update(vars(optimizer), _learning_rate=RATE)
    try:
        copy = kind.from_config({**shell.get_config(), "learning_rate": RATE})
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        raise InputError(
            "The optimizer must be described by its get_config. "
            f"Received: {kind.__name__} ({' '.join(str(error).split())}). "
            "Correct its get_config, or pass another optimizer=."
        ) from error
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):  # get_config leaves these out
            setattr(copy, name, getattr(optimizer, name))
    return copy


def _slots(optimizer: Any) -> list[Any]:
    """Return all variables except the learning rates; a schedule is no variable."""
    parts = (optimizer, getattr(optimizer, "inner_optimizer", optimizer))
    rates = {id(part._learning_rate) for part in parts}
    return [variable for variable in optimizer.variables if id(variable) not in rates]


def _host(variable: Any) -> np.ndarray:
    # Copied, because the converted array may share its memory with the variable.
    return np.array(keras.ops.convert_to_numpy(variable))


def _metric_variables(model: Any) -> list[Any]:
    """Return the variables of all metrics, also of those that no batch has built yet."""
    metrics = list(model.metrics)
    if (compiled := model._compile_metrics) is not None:
        metrics += keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics])
    return [v for m in metrics if isinstance(m, keras.Metric) for v in m.variables]


def _attributes(owner: Any) -> Callable[[], None]:
    before = dict(vars(owner))
    # A model's lists belong to Keras's tracking of layers. Training does not change them.
    is_model = isinstance(owner, keras.Model)
    lists = {} if is_model else {k: list(v) for k, v in before.items() if isinstance(v, list)}

    def restore() -> None:
        for name in [name for name in vars(owner) if name not in before]:
            delattr(owner, name)
        for name, value in before.items():
            # setattr is needed, because TensorFlow tracks a model's attributes for checkpoints.
            if vars(owner).get(name, owner) is not value:
                setattr(owner, name, value)
        for name, content in lists.items():
            if len(before[name]) != len(content):
                before[name][:] = content

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


def _run_all(restores: Iterable[Callable[[], None]]) -> None:
    """Run every function, also if one of them raises."""
    with ExitStack() as stack:
        for restore in restores:
            stack.callback(restore)
