"""Tests the study that gives every seed a range test of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lrcycles import files
from lrcycles.evidence.arms import Arm
from studies.drawn_bounds import page
from studies.drawn_bounds.measure import CONTRASTS, contrast
from tests.cell_results import cell_result

ROOT = Path(__file__).parents[2]
IMAGES = 400


def arm(name: str, wrong: dict[int, list[int] | None]) -> Arm:
    """An arm whose seeds get the images with these numbers wrong; None: the seed diverged."""
    cells, mistakes = {}, {}
    for seed, images in wrong.items():
        if images is None:
            cells[seed] = cell_result(arm=name, seed=seed, status="diverged")
            continue
        mistakes[seed] = np.isin(np.arange(IMAGES), images)
        error = 100 * len(images) / IMAGES
        cells[seed] = cell_result(arm=name, seed=seed, test_error_percent=error)
    return Arm(name, "clr", cells, [], mistakes)


def test_a_contrast_is_over_the_seeds_that_trained_in_all_its_arms():
    arms = {
        ("clr", "drawn"): arm("clr", {0: [1, 2], 1: [1, 2, 3], 2: [1], 3: None, 4: [9]}),
        ("linear_decay", "drawn"): arm("linear_decay", {0: [1], 1: [5], 2: [5, 6], 3: [7], 5: [1]}),
    }
    found = contrast(arms, CONTRASTS["clr minus linear_decay, drawn bounds"])
    assert found is not None
    assert (found.n, found.images) == (3, IMAGES)
    assert found.mean == pytest.approx(100 * (1 + 2 - 1) / 3 / IMAGES)
    alone = contrast(arms, CONTRASTS["clr, drawn bounds"])
    assert alone is not None
    assert alone.mean == pytest.approx(100 * (2 + 3 + 1 + 1) / 4 / IMAGES)


def test_images_that_all_seeds_get_wrong_are_the_part_of_the_test_images():
    always = arm("clr", {seed: list(range(40)) for seed in range(8)})
    found = contrast({("clr", "drawn"): always}, {("clr", "drawn"): 1})
    assert found is not None
    assert found.seeds_variance == 0
    binomial = 100**2 * 0.1 * 0.9 / (IMAGES - 1)  # of the share of wrong images, 0.1
    assert found.images_variance == pytest.approx(binomial, rel=1e-6)


def test_the_page_words_a_difference_only_where_the_interval_is_beyond_0(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "OUT", tmp_path)
    rows = [
        {"seed": seed, "bounds": kind, "base_lr": lr / 10, "max_lr": lr}
        for kind, rates in (("drawn", [0.01, 0.1, np.nan]), ("shared", [0.02] * 3))
        for seed, lr in enumerate(rates)
    ]
    files.write_text(tmp_path / "cells.csv", pd.DataFrame(rows).to_csv(index=False))
    entry = {"n": 2, "failed": 1, "mean": 0.1, "sd": 0.2, "seeds_half": 0.1, "images_half": 0.05}
    entries = {name: {**entry, "interval": [-0.1, 0.3]} for name in CONTRASTS}
    entries["clr, drawn minus shared"]["interval"] = [0.01, 0.3]
    entries["linear_decay, drawn minus shared"] = {"n": 0}
    files.write_json(tmp_path / "estimates.json", entries)
    text = page.text()
    assert "| max_lr | 0.02 | 0.0316 | 0.01 to 0.1 | 0.71 |" in text
    assert "2 of 3 range tests give bounds." in text
    assert "- No difference shows between clr and linear_decay with drawn bounds: -0.1" in text
    assert "- clr with drawn bounds makes more errors than with shared bounds: 0.010 to" in text
    assert "- Linear_decay, drawn minus shared: too few seeds." in text


_SMOKE = """
import sys
from pathlib import Path
from lrcycles import files
from lrcycles.cells.store import CellStore
from lrcycles.config import compose
from lrcycles.data import prepare
from studies.drawn_bounds import measure

def main():
    root = Path(sys.argv[1])
    asked = ["experiment=smoke", "bounds=smith", "+arm@arms.controls.linear_decay=linear_decay"]
    config = compose.check(compose.compose(Path("conf"), asked))
    (root / "data").mkdir(exist_ok=True)
    described = prepare.prepare(**vars(config.data), root=root, out=root / "data")
    files.write_json(root / "data/data.json", described)
    store = CellStore(root / "cells")
    found = measure.run(measure.Study(asked, seeds=2, data=root / "data", store=store))
    found.cells.to_csv(root / "cells.csv", index=False)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_small_study_trains_with_the_bounds_of_each_seed_and_resumes(tmp_path):
    script = tmp_path / "small.py"
    script.write_text(_SMOKE)

    def run() -> str:
        return subprocess.check_output(
            [sys.executable, str(script), str(tmp_path)],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"},
            text=True,
        )

    assert "Finished trainings in the store: 0 of 8." in run()
    first = pd.read_csv(tmp_path / "cells.csv")
    drawn, shared = (first[first["bounds"] == kind] for kind in ("drawn", "shared"))
    assert drawn["max_lr"].nunique() == 2
    assert shared["max_lr"].nunique() == 1
    assert first[["clr", "linear_decay"]].notna().all(axis=None)
    again = run()
    assert "Finished trainings in the store: 8 of 8." in again
    assert "sweep of seed" not in again
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cells.csv"), first)
