"""Tests that both engines train with every optimizer of Keras as Keras itself does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lrcycles.data.image_sets import read_sets
from lrcycles.schedules.optimizers import OPTIMIZERS
from lrcycles.training import chain
from lrcycles.training.engine import Engine, backend_module
from lrcycles.training.feeding import Resident
from tests.training.cases import CELL
from tests.training.test_jax import on_jax

RATES = np.array([[0.001, 0.004, 0.016, 0.004]], np.float32)
NAMES = [name.lower() for name in OPTIMIZERS]
OFTEN = "muon"  # two kinds of update and two kinds of decay


def losses(name: str, digits: Path) -> tuple[list[float], list[float]]:
    """Train four steps with the engine of this process's backend, and with Keras's own steps."""
    backend = keras.backend.backend()
    runtime = replace(CELL.runtime, backend=backend)
    cell = replace(CELL, optimizer={"name": name, "arguments": {}}, runtime=runtime)
    images = read_sets(digits, training_set="split").train
    train = Resident(images, backend_module(backend).put)
    engine = Engine(cell, input_shape=images.shape)
    engine.reset([cell.seed])
    start = engine.trained(0).get_weights()
    order = chain.orders([cell], 0, train)[:, : RATES.shape[1]]
    ours = engine.run(train, order, RATES)[0]
    engine.model.set_weights(start)
    [kind] = [kind for kind in OPTIMIZERS if kind.lower() == name]
    optimizer = getattr(keras.optimizers, kind)()
    engine.model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    theirs = []
    for batch, rate in zip(order[0], RATES[0], strict=True):
        optimizer.learning_rate = float(rate)
        theirs.append(engine.model.train_on_batch(images.scaled()[batch], images.labels[batch]))
    return ours.tolist(), [float(loss) for loss in theirs]


@pytest.mark.parametrize(
    "name",
    [name if name == OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in NAMES],
)
def test_tensorflow_trains_with_every_optimizer_as_keras_does(name, digits):
    assert_allclose(*losses(name, digits), rtol=1e-4)


@pytest.mark.slow
def test_jax_trains_with_every_optimizer_as_keras_does(digits):
    code = """
import json, sys
from pathlib import Path
from lrcycles.training import jax_engine
jax_engine.prepare_device("cpu", 1, "float32")
from tests.training.test_optimizers import NAMES, losses
print(json.dumps({name: losses(name, Path(sys.argv[1])) for name in NAMES}))
"""
    by_name = json.loads(on_jax(code, str(digits)).splitlines()[-1])
    assert list(by_name) == NAMES
    for name, (ours, theirs) in by_name.items():
        assert_allclose(ours, theirs, rtol=1e-4, err_msg=name)
