"""Compares trainings side by side in JAX with Keras's own training in TensorFlow."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studies.networks import choosing, gpu_results, judging
from studies.networks.task import sample_order

ROOT = Path(__file__).parents[2]
STEPS, SEEDS = 5, (3, 103)
SIDE_BY_SIDE = f"""
import sys
import numpy as np
from studies.networks import on_gpu, side_by_side

task = next(task for task in on_gpu.TASKS if task.name == sys.argv[1])
networks = side_by_side.Networks(task, task.data())
networks.part_steps = {STEPS}
networks.draw({SEEDS})
networks.compile(2)
rates = float(sys.argv[2]) * np.linspace(1, 0.2, {STEPS})[:, None] * np.array([1, 3])
networks.advance(np.array([True, True]), np.array([0, 1]), np.zeros(2), rates)
arrays = {{"rates": rates, "losses": networks.evaluate()[0], "metrics": networks.evaluate()[1]}}
for kind, part in zip(("trained", "others"), networks.starts[:2]):
    arrays |= {{f"{{kind}} {{place}}": np.asarray(values) for place, values in enumerate(part)}}
np.savez(sys.argv[3], **arrays)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("topics_embedding_adam", 0.03),  # rows of an embedding
        ("counting_gru_adamw_clipped", 0.02),  # rows, of which all gradients' norm is limited
        ("adding_gru_adam_clipped", 0.01),
        ("waves_residual_momentum", 0.05),  # convolutions, batch normalization
        ("scenes_convolutions_adafactor", 0.02),
        ("friedman_deep_lion", 0.002),
    ],
)
def test_networks_side_by_side_learn_what_keras_with_tensorflow_learns(name, rate, tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", SIDE_BY_SIDE, name, str(rate), str(tmp_path / "state.npz")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    kept = np.load(tmp_path / "state.npz")
    task = next(task for task in [*choosing.TASKS, *judging.TASKS] if task.name == name)
    x, y, *heldout = task.data()
    for network, seed in enumerate(SEEDS):
        model = task.compiled()
        model.optimizer.build(model.trainable_variables)
        for kind in ("trained", "others"):
            variables = getattr(model, f"{'non_' * (kind == 'others')}trainable_variables")
            for place, variable in enumerate(variables):
                variable.assign(kept[f"{kind} {place}"][network])
        order = sample_order(len(x), task.batch_size, STEPS, seed)
        for batch, step_rate in zip(order, kept["rates"][:, network], strict=True):
            model.optimizer.learning_rate.assign(step_rate)
            model.train_on_batch(x[batch], y[batch])
        expected = model.evaluate(*heldout, batch_size=500, verbose=0, return_dict=True)
        assert kept["losses"][network] == pytest.approx(expected["loss"], rel=1e-4)
        assert kept["metrics"][network] == pytest.approx(expected[task.metric], rel=1e-3)


def test_results_are_read_as_they_were_saved_and_a_diverged_peak_is_not_the_best(tmp_path):
    row = {"steps": 4, "seed": 0, "measure": 0.5, "initial_loss": 3.0, "look": True}
    rows = [
        {**row, "schedule": "linear_decay", "peak": 0.1, "losses": [2.0]},
        {**row, "schedule": "linear_decay", "peak": 1.0, "losses": [math.nan]},
        {**row, "schedule": "constant", "peak": 1.0, "losses": [1.5, 1.0]},
    ]
    path = tmp_path / "task-digest-look.npz"
    gpu_results.save(path, rows, whole=16, compile_seconds=1.0, train_seconds=2.0)
    table = gpu_results.read(tmp_path)
    assert list(table["losses"])[::2] == [[2.0], [1.5, 1.0]]
    assert set(table["task"]) == {"task"}
    assert gpu_results.best_of(path) == 0.1
