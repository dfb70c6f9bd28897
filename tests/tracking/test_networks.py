"""Checks that logged networks take raw pixels, with Keras and MLflow themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from lrcycles import models
from lrcycles.cells.result import write_result
from lrcycles.data.image_sets import PIXEL_SCALE
from lrcycles.tracking import runs
from lrcycles.tracking.networks.scaling import add_scaling
from tests.cell_results import cell_result

SHAPE, CLASSES = (8, 6), 4
PIXELS = np.random.default_rng(0).integers(0, 256, (50, *SHAPE), dtype=np.uint8)
DATA = {
    "name": "tiny",
    "source": "local",
    "sha256": {},
    "counts": {"test": 50},
    "classes": list("abcd"),
    "image_shape": list(SHAPE),
    "digest": "0" * 64,
}


@keras.saving.register_keras_serializable("tests")
class TwoPartNet(keras.Model):
    """A subclassed network with a layer in a list."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.parts = [keras.layers.Flatten(), keras.layers.Dense(5, activation="relu")]
        self.head = keras.layers.Dense(CLASSES, activation="softmax")

    def call(self, images):
        for part in self.parts:
            images = part(images)
        return self.head(images)


def of_project(function: str, **arguments) -> keras.Model:
    settings = {"function": f"lrcycles.models:{function}", "arguments": arguments}
    return models.build(settings, input_shape=SHAPE, classes=CLASSES)


def functional(dtype: str) -> keras.Model:
    images = keras.Input(SHAPE)
    hidden = keras.layers.Dense(6, activation="relu", dtype=dtype)(keras.layers.Flatten()(images))
    return keras.Model(images, keras.layers.Dense(CLASSES, dtype="float32")(hidden))


def subclassed() -> keras.Model:
    network = TwoPartNet()
    network(np.zeros((1, *SHAPE), "float32"))
    return network


@pytest.mark.parametrize(
    "make",
    [
        lambda: of_project("mlp", units=[5], batch_norm=True),
        lambda: of_project("lenet", filters=(2, 3), units=5, kernel_size=2),
        lambda: functional("float32"),
        lambda: functional("mixed_bfloat16"),
        subclassed,
    ],
    ids=["mlp", "lenet", "functional", "mixed precision", "subclassed"],
)
def test_a_network_with_scaling_gives_the_same_bits_for_raw_pixels(make, tmp_path):
    network = make()
    network.save(tmp_path / "model.keras")
    add_scaling(tmp_path / "model.keras", tmp_path / "raw.keras", image_shape=SHAPE, scale=1 / 255)
    loaded = keras.saving.load_model(tmp_path / "raw.keras")
    scaled = PIXELS.astype(np.float32) * PIXEL_SCALE
    np.testing.assert_array_equal(np.asarray(loaded(PIXELS)), np.asarray(network(scaled)))
    assert loaded.count_params() == network.count_params()


OWN = """
import keras

@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return x + x

class Plain(keras.layers.Layer):
    def call(self, x):
        return x + 1
"""
LOAD = """
import json, sys
sys.modules["lrcycles"] = None
import mlflow, numpy as np
from mlflow.exceptions import MlflowException
model = mlflow.pyfunc.load_model("runs:/{run_id}/clr-seed-0")
pixels = np.load("test_images.npy")
try:
    model.predict((pixels / 255).astype("float32"))
    refused = False
except MlflowException:
    refused = True
example = model.input_example
print(json.dumps([model.predict(pixels).tolist(), refused, example.tolist(), str(example.dtype)]))
"""


@pytest.mark.slow
def test_a_logged_network_with_classes_of_the_user_loads_elsewhere(tmp_path, monkeypatch):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (project / "my_own", elsewhere, tmp_path / "cell"):
        folder.mkdir(parents=True)
    (project / "my_own" / "layers.py").write_text(OWN)
    (project / "my_own" / "__init__.py").write_text("")
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    import my_own.layers  # type: ignore[import-not-found]

    layers = [keras.layers.Flatten(), my_own.layers.Doubled(), my_own.layers.Plain()]
    network = keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(CLASSES)])
    run_id = logged(network, tmp_path, test_images=elsewhere / "test_images.npy")
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD.format(run_id=run_id)],
        env={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "PATH": ""},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    answer, refused, example, dtype = json.loads(loaded.stdout.splitlines()[-1])
    expected = np.asarray(network(PIXELS.astype(np.float32) * PIXEL_SCALE))
    np.testing.assert_allclose(answer, expected, rtol=1e-5)
    assert refused  # pixels that are scaled already
    assert (example, dtype) == (PIXELS[:2].tolist(), "uint8")


def logged(network: keras.Model, root: Path, *, test_images: Path) -> str:
    """Log a cell with this network and return the id of its run."""
    cell = root / "cell"
    network.save(cell / "model.keras")
    versions = {"keras": keras.__version__, "numpy": np.__version__}
    write_result(cell / "result.json", cell_result(versions=versions, steps=1, history=[]))
    table = pd.DataFrame({"step": [1], "epoch": [1], "lr": [0.1], "loss": [2.0]})
    table.to_parquet(cell / "steps.parquet")
    np.save(test_images, PIXELS)
    with runs.start("train@clr", root=root, config={}, experiment="smoke") as run:
        return run.log_cell(cell, params={"a": 1}, data=DATA, test_images=test_images)
