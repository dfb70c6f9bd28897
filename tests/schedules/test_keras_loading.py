"""Tests that models saved by the version before load in a new process and train on as there.

references/models holds, for each model, NAME.keras as saved after two epochs and NAME.npz with the
weights after one more epoch, both made by that version.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "references" / "models"
NAMES = sorted(path.stem for path in SAVED.glob("*.keras"))

TRAIN_ON = """
import pathlib, sys
import keras, numpy as np
import lrcycles

lrcycles.register_keras_objects()
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 4)).astype("float32"), rng.integers(0, 3, 64)
saved, trained = map(pathlib.Path, sys.argv[1:])
for path in saved.glob("*.keras"):
    model = keras.saving.load_model(path)
    model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    np.savez(trained / f"{path.stem}.npz", *model.get_weights())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where a new process puts the weights of every model after one more epoch."""
    folder = tmp_path_factory.mktemp("trained")
    command = [sys.executable, "-c", TRAIN_ON, str(SAVED), str(folder)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    return folder


def test_there_are_models_of_a_cyclic_a_restarting_and_a_phased_rate_and_of_momentum():
    assert NAMES == ["controlled", "one", "sgdr", "triangular"]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_trains_on_as_in_the_version_that_saved_it(trained, name):
    with np.load(SAVED / f"{name}.npz") as theirs, np.load(trained / f"{name}.npz") as ours:
        assert theirs.files == ours.files
        for key in theirs.files:
            assert_allclose(ours[key], theirs[key], rtol=1e-6, atol=1e-7)
