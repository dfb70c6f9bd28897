"""Does the rate fall on a plateau as Keras's own callback lets it fall?"""

from __future__ import annotations

import doctest

import keras
import numpy as np
import pytest

from lrcycles.schedules import on_plateau
from lrcycles.schedules.on_plateau import lr_after
from lrcycles.schedules.table import rate_table


def test_the_example_in_the_docstring_holds():
    assert doctest.testmod(on_plateau) == (0, 1)


def by_keras(losses: np.ndarray, *, base_lr: float, factor: float, patience: int) -> float:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(base_lr), loss="mse")
    callback = keras.callbacks.ReduceLROnPlateau(factor=factor, patience=patience)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
    return float(model.optimizer.learning_rate)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_the_rate_is_the_one_of_keras_callback(patience):
    generator = np.random.default_rng(patience)
    losses = 1 / np.arange(1, 13) + generator.normal(0, 0.05, 12)
    losses[5] = losses[:5].min() - 5e-5  # lower, but by too little to count
    found = [
        lr_after(losses[:n], base_lr=0.1, factor=0.2, patience_epochs=patience) for n in range(13)
    ]
    assert found == pytest.approx(
        [by_keras(losses[:n], base_lr=0.1, factor=0.2, patience=patience) for n in range(13)]
    )
    assert len(set(found)) > 1


def test_until_validation_decides_the_rate_stays():
    rates = rate_table(
        "reduce_on_plateau", total_steps=4, base_lr=0.5, factor=0.1, patience_epochs=2
    )
    assert rates.tolist() == [0.5] * 4
