"""Scores averages of the weights, and puts the trained weights back."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lrcycles.cells.cell import Cell
from lrcycles.cells.result import AverageResult
from lrcycles.errors import InputError
from lrcycles.training.averages.weights import checkpoint_count
from lrcycles.training.compilation import mode
from lrcycles.training.engine import Engine, Scores

if TYPE_CHECKING:
    from lrcycles.training.records import Course


@dataclass(frozen=True)
class Averaged:
    """What an average of the weights of each cell reaches.

    Attributes:
        mistakes: the test images that are wrong, bool (cells, images).
        weights: of the whole network, by cell.
    """

    validation: Scores
    test: Scores
    mistakes: np.ndarray
    weights: list[list[np.ndarray]]

    def result(self, lane: int, settings: Mapping[str, Any], *, finished: bool) -> AverageResult:
        """Make the result of a cell; a training that diverged has no scores."""
        scores = (*self.test[lane], *self.validation[lane])
        known = finished and all(map(math.isfinite, scores))
        names = ("test_loss", "test_error_percent", "validation_loss", "validation_error_percent")
        return AverageResult(
            settings=settings,
            **{name: value if known else None for name, value in zip(names, scores, strict=True)},
        )

    def save(self, folder: Path, name: str, lane: int, network: Any) -> None:
        """Write what a cell's average gets right, and its network.

        Args:
            network: gets the averaged weights while it is saved; None if it shall not be saved.
        """
        np.save(folder / f"correct_{name}.npy", np.packbits(~self.mistakes[lane]))
        if network is not None:
            trained = network.get_weights()
            network.set_weights(self.weights[lane])
            network.save(folder / f"model_{name}.keras")
            network.set_weights(trained)


def add_weights(
    engine: Engine, epoch: int, lanes: Sequence[Cell], course: Course, alive: Collection[int]
) -> None:
    """Add the weights to the means of checkpoints, if this is one of the last epochs."""
    adding = [k for k in alive if epoch >= lanes[k].epochs - checkpoint_count(lanes[k])]
    if adding:
        trained = engine.program.network(range(len(engine.model.trainable_variables)))
        for k in adding:
            course.add_weights(k, [array[k] for array in trained])


def score_averages(
    engine: Engine,
    lanes: Sequence[Cell],
    course: Course,
    train: Any,
    order: np.ndarray,
    validation: Any,
    test: Any,
) -> dict[str, Averaged]:
    """Score every average of cells that have trained.

    Args:
        lanes: the cells that the program trains side by side. A cell without an average keeps its
            trained weights while the others are scored.
        order: the batches from which batch normalisation gets its statistics.
    """
    names = sorted({name for cell in lanes for name in cell.averages or {}})
    state, found = engine.state(), {}
    for name in names:
        if name == "ema":
            averages = engine.program.moving_averages()
        else:
            averages = _means(engine.program.network(), lanes, course)
        engine.program.replace_network(dict(enumerate(averages)))
        _renew_statistics(engine, train, order)
        validated = engine.evaluate(validation)
        tested, mistakes = engine.examine(test)
        cells = range(len(course.histories))
        weights = [engine.trained(lane).get_weights() for lane in cells]
        found[name] = Averaged(validated, tested, mistakes, weights)
        engine.restore(state)
    return found


def _means(
    trained: Sequence[np.ndarray], lanes: Sequence[Cell], course: Course
) -> list[np.ndarray]:
    """Average the weights at the ends of the last epochs, where the cell asks for it."""
    for lane, sums in enumerate(course.weight_sums):
        for array, total in zip(trained, sums, strict=False):  # the trainable variables come first
            array[lane] = total / checkpoint_count(lanes[lane])
    return list(trained)


def _renew_statistics(engine: Engine, train: Any, order: np.ndarray) -> None:
    """Set the statistics of batch normalisation to their means over the batches of an epoch.

    Statistics of the trained weights would give wrong scores.
    Source: Izmailov 2018 (arXiv 1803.05407), sec. 3.2.
    """
    places = statistics_places(engine)
    if not places:
        return
    program, seen = engine.program, 0
    sums: list[Any] = [0.0] * len(places)
    with _without_memory(engine.model):
        for part in train.parts(order, 0, order.shape[1]):
            for step in range(part.start, part.stop):
                program.see(part, step)
                of_batch = program.network(places)
                sums = [total + np.float64(one) for total, one in zip(sums, of_batch, strict=True)]
                seen += 1
    means = [np.float32(total / seen) for total in sums]
    program.replace_network(dict(zip(places, means, strict=True)))


@contextmanager
def _without_memory(model: Any) -> Iterator[None]:
    """Let batch normalisation keep the statistics of the latest batch alone."""
    layers = _batch_norms(model)
    before = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


@cache  # once for each engine
def statistics_places(engine: Engine) -> list[int]:
    """Find the statistics of batch normalisation among the variables of `Program.network`.

    Raises:
        InputError: another layer changes a variable while it trains, such as statistics in a class
            of the user's. Nobody knows the values that belong to averaged weights.
    """
    model = engine.model
    images = np.random.default_rng(0).random((8, *engine.input_shape), np.float32)
    trained, others = model.trainable_variables, model.non_trainable_variables
    _, changed = model.stateless_call(
        [variable.value for variable in trained],
        [variable.value for variable in others],
        images,
        **mode(model, training=True),
    )
    weights = {id(variable) for variable in model.non_trainable_weights}  # no seeds
    known = {id(v) for layer in _batch_norms(model) for v in layer.non_trainable_variables}
    places = []
    for place, (variable, new) in enumerate(zip(others, changed, strict=True), len(trained)):
        if id(variable) in known:
            places.append(place)
        elif id(variable) in weights and not np.array_equal(variable, new):
            raise InputError(
                "train.averages must have a network in which only BatchNormalization keeps "
                f"statistics. Received: {variable.path}, which changes while the network trains, "
                "and whose value for averaged weights is not known. Set train.averages=[]."
            )
    return places


def _batch_norms(model: Any) -> list[Any]:
    """List the layers of batch normalisation that train, those within other layers too."""
    layers = [each for each in model._flatten_layers() if each.trainable]
    kind = keras.layers.BatchNormalization
    return [layer for layer in layers if isinstance(layer, kind) and not layer.renorm]
