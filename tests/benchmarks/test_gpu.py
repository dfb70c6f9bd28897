"""Runs the measurements of a GPU on the CPU, with few images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrcycles.files import read_json

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_measurements_of_a_gpu_run_on_a_cpu_without_data_and_name_what_they_skip(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--images", "600"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {"PYTHONPATH": paths, "KERAS_BACKEND": "jax", "QUICK": "1"}
    subprocess.run(
        [*command, "--cells", "8", "--rounds", "1", "--parts", "steps"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        check=True,
    )
    result = read_json(tmp_path / "outputs/bench/quick/performance/side_by_side.json")
    assert [(row["network"], row["batch_size"], row["cells"]) for row in result["rows"]] == [
        ("MLP 784-784-10", 200, 1),
        ("MLP 784-784-10", 200, 8),
        ("LeNet", 512, 1),
    ]
    assert all(row["us_per_step"] > 0 and row["precision"] == "float32" for row in result["rows"])
    (reason,) = result["skipped"].values()
    assert "a batch needs 2000 images" in reason
    assert result["versions"]["keras"]
