"""Trains cells with JAX, in processes of their own: Keras has one backend per process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lrcycles.cells.cell import Cell, link
from lrcycles.cells.result import CellResult, read_result
from tests.training.cases import CELL, CONSTANT, CONTINUED, RUNTIME, WILD

ROOT = Path(__file__).parents[2]
JAX = replace(RUNTIME, backend="jax")
TOGETHER = replace(JAX, side_by_side=3)
BOTH = {"ema": {"decay": 0.9}, "last": {"checkpoints": 2}}
AVERAGED = replace(CELL, averages=BOTH)
NETWORK = {"function": "tests.training.networks:everything", "arguments": {}}


def on_jax(code: str, *arguments: str) -> str:
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.check_output(
        [sys.executable, "-c", code, *arguments], env=environment, text=True
    )


def train(cells: Sequence[Cell], data: Path, out: Path) -> list[Path]:
    """Train with `python -m lrcycles.training`; the cells' folders."""
    cells = link(cells)
    plan = {
        "data": str(data),
        "cells": [asdict(cell) for cell in cells],
        "models": [cell.key for cell in cells],
    }
    (out.parent / "cells.json").write_text(json.dumps(plan))
    on_jax(
        "import runpy, sys; runpy.run_module('lrcycles.training', run_name='__main__')",
        str(out.parent / "cells.json"),
        str(out),
    )
    return [out / cell.key for cell in cells]


def losses(folder: Path) -> np.ndarray:
    table: np.ndarray = np.load(folder / "steps.npy")
    return table["loss"]


def weights(folder: Path, name: str = "") -> list[np.ndarray]:
    """Read the weights of model.keras, or of the network with an average of them."""
    found: list[np.ndarray] = keras.models.load_model(folder / f"model{name}.keras").get_weights()
    return found


def result(folder: Path) -> CellResult:
    return read_result(folder / "result.json")


@pytest.fixture(scope="module")
def alone(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Cells of one seed, trained one after another."""
    cells = [replace(cell, runtime=JAX) for cell in (AVERAGED, CONSTANT, CONTINUED, WILD)]
    folders = train(cells, digits, tmp_path_factory.mktemp("jax") / "store")
    return {cell.arm: folder for cell, folder in zip(cells, folders, strict=True)}


def test_the_losses_are_those_of_plain_keras_on_jax(alone, digits):
    code = """
import sys, keras, numpy as np
from pathlib import Path
from lrcycles.data.image_sets import read_sets
train = read_sets(Path(sys.argv[1]), training_set="split").train
x, y = train.scaled(), train.labels
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.layers.Flatten(),
    keras.layers.Dense(8, "relu", kernel_initializer="random_normal"),
    keras.layers.Dense(10, "softmax", kernel_initializer="random_normal"),
])
model.build((None, 8, 8))
model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
for epoch in range(2):
    for batch in np.random.default_rng([0, epoch]).permutation(1200).reshape(24, 50):
        print(float(model.train_on_batch(x[batch], y[batch])))
        model.reset_metrics()
"""
    expected = [float(line) for line in on_jax(code, str(digits)).split()]
    assert_allclose(losses(alone["constant"]), expected, rtol=2e-4)
    assert result(alone["constant"]).finished
    assert result(alone["constant"]).backend == "jax"


def test_averages_are_those_of_the_weights_after_every_step(alone, digits):
    """TensorFlow's averages are compared with the same definitions in test_averages.py."""
    code = """
import sys, keras, numpy as np
from dataclasses import replace
from pathlib import Path
from lrcycles.training import jax_engine
from tests.training.test_averages import expected_averages, weights_after_every_step
from tests.training.test_jax import AVERAGED, JAX
jax_engine.prepare_device("cpu", 1, "float32")
data, folder = map(Path, sys.argv[1:])
kept = weights_after_every_step(replace(AVERAGED, averages=None, runtime=JAX), data)
for name, expected in expected_averages(kept, AVERAGED.epochs).items():
    averaged = keras.models.load_model(folder / f"model_{name}.keras").trainable_variables
    print(max(np.abs(a - b).max() for a, b in zip(averaged, expected, strict=True)))
    print(max(np.abs(a - b).max() for a, b in zip(averaged, kept[-1], strict=True)))
"""
    ema, from_ema, last, from_last = map(
        float, on_jax(code, str(digits), str(alone["clr"])).split()
    )
    assert max(ema, last) < 1e-5
    assert min(from_ema, from_last) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [JAX, TOGETHER], ids=["alone", "together"])
def test_a_training_on_jax_does_not_notice_its_averages(runtime, digits, tmp_path):
    cell = replace(CELL, runtime=runtime, model=NETWORK)
    cells = [replace(cell, seed=seed, averages=BOTH) for seed in (0, 1)]
    cells += [replace(one, arm="bare", averages=None) for one in cells]
    folders = train(cells, digits, tmp_path / "store")
    for averaged, bare in zip(folders[:2], folders[2:], strict=True):
        assert_array_equal(losses(averaged), losses(bare))
        for one, other in zip(weights(averaged), weights(bare), strict=True):
            assert_array_equal(one, other)


@pytest.mark.slow
def test_a_cell_side_by_side_with_others_is_what_it_is_beside_any_others(digits, tmp_path):
    """Its bits depend only on the number of cells that train together."""
    arms = [replace(cell, runtime=TOGETHER) for cell in (CELL, CONSTANT, CONTINUED)]
    seeds = [replace(arm, seed=seed) for seed in (0, 1) for arm in arms]
    (tmp_path / "many").mkdir()
    many = train(seeds, digits, tmp_path / "many" / "store")
    (tmp_path / "few").mkdir()
    few = train([arms[0], arms[1], arms[2]], digits, tmp_path / "few" / "store")
    for folder in few:
        twin = tmp_path / "many" / "store" / folder.name
        assert twin in many
        assert_array_equal(losses(folder), losses(twin))
    kept = {"train_seconds", "compile_seconds", "evaluate_seconds", "steps_per_second"}
    one, other = (
        {name: value for name, value in result(folder).to_dict().items() if name not in kept}
        for folder in (few[0], tmp_path / "many" / "store" / few[0].name)
    )
    assert one == other


@pytest.mark.slow
def test_cells_side_by_side_learn_what_they_learn_alone(alone, digits, tmp_path):
    cells = [replace(cell, runtime=TOGETHER) for cell in (CELL, CONSTANT, CONTINUED, WILD)]
    folders = train(cells, digits, tmp_path / "store")
    for cell, folder in zip(cells, folders, strict=True):
        lone = alone[cell.arm]
        assert result(folder).status == result(lone).status
        if cell.arm != "wild":
            assert_allclose(losses(folder), losses(lone), rtol=1e-3)
    wild = result(folders[-1])
    assert wild.status == "diverged"
    assert wild.test_error_percent is None


@pytest.mark.slow
def test_dropout_draws_other_units_for_cells_side_by_side(digits, tmp_path):
    cells = [
        replace(CONSTANT, seed=seed, model=NETWORK, runtime=TOGETHER, arm=f"arm{seed}")
        for seed in (0, 1)
    ]
    first, second = train(cells, digits, tmp_path / "store")
    assert losses(first)[0] != losses(second)[0]
    assert losses(first)[-1] < losses(first)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "word"), [("float32", "HIGHEST"), ("tf32", "HIGH"), ("mixed_bfloat16", "DEFAULT")]
)
def test_the_precision_reaches_every_product_of_a_network(precision, word):
    """float32 must be asked for: JAX's default on a GPU is TF32."""
    code = """
import sys
from lrcycles.training import jax_engine
from lrcycles.training.compilation import dtype_policy
jax_engine.prepare_device("cpu", 1, sys.argv[1])
import jax, keras
keras.config.set_dtype_policy(dtype_policy(sys.argv[1]))
model = keras.Sequential([
    keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3)
])
values = [v.value for v in model.trainable_variables]
loss = lambda w, x: model.stateless_call(w, [], x)[0].sum()
print(jax.jit(jax.grad(loss)).lower(values, jax.numpy.ones((2, 8, 8, 1))).as_text())
"""
    lines = on_jax(code, precision).splitlines()
    products = [line for line in lines if "dot_general" in line or ".convolution" in line]
    assert len(products) == 4  # forwards, and backwards without the gradient of the images
    for line in products:
        assert set(re.findall(r"HIGHEST|HIGH|DEFAULT", line)) == {word}


@pytest.mark.slow
def test_half_precision_learns_on_jax(digits, tmp_path):
    half = replace(CONSTANT, runtime=replace(JAX, precision="mixed_float16"), epochs=3)
    (folder,) = train([half], digits, tmp_path / "store")
    history = result(folder).history
    assert history[-1].validation_loss < history[0].validation_loss


@pytest.mark.slow
def test_steps_of_one_turn_train_as_single_steps(digits):
    code = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from lrcycles.training import chain, jax_engine
from lrcycles.training.engine import Engine
from tests.training.test_jax import CELL, TOGETHER
losses, weights = [], []
for turn in (1, 4):
    jax_engine.turn_steps = lambda _operations, device: turn
    cells = [replace(CELL, runtime=TOGETHER, seed=seed) for seed in range(3)]
    train, validation, _ = chain.laid_out(cells[0], Path(sys.argv[1]))
    order = chain.orders(cells, 0, train)[:, :10]  # two turns of four steps, and two steps
    engine = Engine(cells[0], input_shape=train.images.shape)
    engine.reset([cell.seed for cell in cells])
    losses.append(engine.run(train, order, np.full((3, 10), 0.02, np.float32)))
    weights.append(np.concatenate([array.ravel() for array in engine.state()[:4]]))
print(json.dumps([np.abs(a - b).max().item() for a, b in (losses, weights)]))
print(losses[0].std())
"""
    difference, spread = on_jax(code, str(digits)).splitlines()
    assert max(json.loads(difference)) < 1e-6
    assert float(spread) > 0.01


@pytest.mark.slow
def test_sweeps_side_by_side_end_each_at_its_own_step_and_score_like_sweeps_alone(digits):
    """Alone, a step after another with NumPy's numbers between them; together, in one program."""
    code = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from lrcycles.range_tests.cell_sweep import Sweep, Team, sweep_team
from lrcycles.training import jax_engine
from lrcycles.training.engine import Engine
from tests.training.cases import CELL
from tests.training.test_jax import JAX, TOGETHER

jax_engine.prepare_device("cpu", 1, "float32")
sweep = Sweep("exponential", 1e-3, 1e6, 43, 4, 100, 4.0)  # the last chunk has three steps

def curves(runtime, *seeds):
    cells = [replace(CELL, seed=seed, runtime=runtime) for seed in seeds]
    for timed in sweep_team(Team(cells), lambda *_: None, sweep=sweep, data=Path(sys.argv[1])):
        curve = timed.curve
        yield [curve.initial_metric, list(curve.loss), list(np.nan_to_num(curve.metric, nan=-1))]

together = list(curves(TOGETHER, 0, 1))
Engine._scored_inside = lambda *_: None
print(json.dumps([together, [*curves(JAX, 0), *curves(JAX, 1)]]))
"""
    together, alone = json.loads(on_jax(code, str(digits)).splitlines()[-1])
    lengths = [len(losses) for _, losses, _ in together]
    assert lengths == [len(losses) for _, losses, _ in alone]
    assert max(lengths) < 43
    for one, other in zip(together, alone, strict=True):
        early = 20  # later the rates are high, and rounding grows
        assert one[0] == other[0]
        assert_allclose(one[1][:early], other[1][:early], rtol=1e-4)
        assert_allclose(one[2][:early], other[2][:early], atol=0.011)  # one image of 100
        assert np.flatnonzero(np.array(one[2]) >= 0).tolist() == (
            np.flatnonzero(np.array(other[2]) >= 0).tolist()
        )
