"""How is a Keras model trained for a while and then left as it was, to the last bit?

Keras has no public way to read its global random generator, its counters of names, or what
`compile` leaves on a model; the few private names that this takes are all in this file.
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

RATE = 0.001  # of a copied optimizer until its owner sets one
GENERATOR, NAMES = "global_seed_generator", "object_name_uids"


class Snapshot:
    """The values of variables, on the host, to be put back as often as wanted."""

    def __init__(self, variables: Iterable[Any]) -> None:
        unique = {id(variable): variable for variable in variables}.values()
        self._values = [(variable, _host(variable)) for variable in unique]

    def restore(self) -> None:
        """Assign every variable its value of then."""
        for variable, value in self._values:
            variable.assign(value.copy())  # JAX may train in the very memory it is handed


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Leave a built `model` as it was, however the body ends.

    Inside, the model has no compiled functions: its own were traced with its own optimizer, and
    are put back unused. Variables, metrics, compiled state and every attribute of the model are
    afterwards the same objects with the same values.
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
    """Leave the random state of Python, NumPy and Keras as it was, however the body ends."""
    restores = [*_tensorflow(), _python_and_numpy(), _keras_generator()]
    try:
        yield
    finally:
        _run_all(restores)


def seed_globals(seed: int) -> None:
    """Seed what a model may draw from without a generator of its own.

    Not TensorFlow's global seed: setting it also drops the state of the user's seeded operations.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    global_state.set_global_attribute(GENERATOR, None)  # drawn anew, from Python's


def seed_layers(model: Any, seed: int) -> None:
    """Start the random generators of the model's layers, such as dropout's, from `seed`."""
    draw = np.random.default_rng([seed, 1])  # [seed, 0] would equal seed: the data's order
    for variable in model.non_trainable_variables + model.variables:
        if variable.name == "seed_generator_state":
            variable.assign(np.array([draw.integers(2**31), 0], dtype=variable.dtype))


def fresh_values(model: Any) -> list[np.ndarray]:
    """Draw initial weights for `model`, in the order of its weights.

    Raises:
        InputError: the model's layers cannot be listed, so neither can they be drawn anew.
    """
    try:
        clone = keras.models.clone_model(model)
    except (ValueError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"fresh_weights needs a Sequential or functional model whose layers have get_config, "
            f"got {type(model).__name__}: leave it out to start from the present weights"
        ) from error
    return [_host(variable) for variable in clone.weights]


def copied_optimizer(
    optimizer: Any, model: Any, *, keep_state: bool, scale_loss: bool = False
) -> Any:
    """Build an optimizer for `model` with the settings of `optimizer` and a rate that can be set.

    A schedule is left behind with the original, which is only read.

    Args:
        keep_state: also copy momenta and iterations, if there are any.
        scale_loss: wrap it as `compile` does under mixed_float16, unless it is.

    Raises:
        InputError: the optimizer cannot be made from its configuration, or has slots for other
            weights than the model's.
    """
    copy = _copied_settings(optimizer)
    if scale_loss and not isinstance(copy, keras.optimizers.LossScaleOptimizer):
        copy = keras.optimizers.LossScaleOptimizer(copy)
    copy.build(model.trainable_variables)
    if keep_state and optimizer.built:
        old, new = _slots(optimizer), _slots(copy)
        if [v.shape for v in old] != [v.shape for v in new]:
            raise InputError(
                f"need an optimizer built for the model's {len(model.trainable_variables)} "
                f"trainable weights, got {type(optimizer).__name__} built for others: compile "
                "the model again"
            )
        for source, target in zip(old, new, strict=True):
            target.assign(_host(source))
    return copy


def accumulation_steps(optimizer: Any) -> int:
    """How many mini-batches make one update."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(inner.gradient_accumulation_steps or 1)


def velocity_momentum(optimizer: Any) -> float:
    """The momentum of a velocity, as SGD and RMSprop have one; 0 without."""
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
    # Read from a shell without the rate: many schedules in use have no get_config.
    shell = object.__new__(kind)
    vars(shell).update(vars(optimizer), _learning_rate=RATE)
    try:
        copy = kind.from_config({**shell.get_config(), "learning_rate": RATE})
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        raise InputError(
            f"need an optimizer that its own get_config describes, got {kind.__name__} "
            f"({error}): mend its get_config, or give another as optimizer="
        ) from error
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):  # no part of an optimizer's configuration
            setattr(copy, name, getattr(optimizer, name))
    return copy


def _slots(optimizer: Any) -> list[Any]:
    """All variables but the rates, which an optimizer with a schedule has none of."""
    parts = (optimizer, getattr(optimizer, "inner_optimizer", optimizer))
    rates = {id(part._learning_rate) for part in parts}
    return [variable for variable in optimizer.variables if id(variable) not in rates]


def _host(variable: Any) -> np.ndarray:
    # A copy: what a backend converts to may share its memory with the variable.
    return np.array(keras.ops.convert_to_numpy(variable))


def _metric_variables(model: Any) -> list[Any]:
    """Of all metrics: `model.metrics` leaves out those that the first batch has yet to build."""
    metrics = list(model.metrics)
    if (compiled := model._compile_metrics) is not None:
        metrics += keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics])
    return [v for m in metrics if isinstance(m, keras.Metric) for v in m.variables]


def _attributes(owner: Any) -> Callable[[], None]:
    before = dict(vars(owner))
    # The lists on a model belong to its tracking of layers, which training does not change.
    is_model = isinstance(owner, keras.Model)
    lists = {} if is_model else {k: list(v) for k, v in before.items() if isinstance(v, list)}

    def restore() -> None:
        for name in [name for name in vars(owner) if name not in before]:
            delattr(owner, name)
        for name, value in before.items():
            # Through setattr: TensorFlow tracks what a model holds for its checkpoints.
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
    # Another one, seeded from Python's, takes its place: so its own state stays.
    generator = global_state.get_global_attribute(GENERATOR)
    global_state.set_global_attribute(GENERATOR, None)
    return lambda: global_state.set_global_attribute(GENERATOR, generator)


def _names() -> Callable[[], None]:
    """Keras's counters of names: a layer made afterwards is called what it would have been."""
    counts = dict(global_state.get_global_attribute(NAMES) or {})

    def restore() -> None:
        now = global_state.get_global_attribute(NAMES)
        if now is not None:
            now.clear()
            now.update(counts)

    return restore


def _tensorflow() -> Iterator[Callable[[], None]]:
    """TensorFlow's own stream of operation seeds, which a custom layer may draw from."""
    if keras.backend.backend() != "tensorflow":
        return
    from tensorflow.python.eager import context

    stream = getattr(context.context(), "_rng", None)
    if stream is None:  # no seed was ever set: every draw is by chance anyway
        return
    state = stream.getstate()

    def restore() -> None:
        if stream.getstate() != state:
            stream.setstate(state)
            # The operation that drew a seed keeps its place in the numbers that follow from it.
            context.context().clear_kernel_cache()

    yield restore


def _run_all(restores: Iterable[Callable[[], None]]) -> None:
    """Run every one, even if one fails: what can be put back is."""
    with ExitStack() as stack:
        for restore in restores:
            stack.callback(restore)
