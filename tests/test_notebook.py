"""Tests that the README's code for notebooks runs, and that every public name exists."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrcycles

ROOT = Path(__file__).parents[1]


@pytest.fixture
def notebook(digits) -> dict:
    """The names that the README's code expects to exist."""
    import keras

    from lrcycles.data.image_sets import read_sets

    train = read_sets(digits, training_set="split").train
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8)), *layers])
    return {"model": model, "x": train.scaled(), "y": train.labels}


def test_the_code_of_the_readme_runs(notebook, capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    advised, bounded = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    exec(advised.replace("epochs=12", "epochs=4"), notebook)
    printed = capsys.readouterr().out
    assert printed.startswith("linear_decay: ")
    assert int(notebook["model"].optimizer.iterations) == notebook["advice"].total_steps
    import keras

    notebook["model"] = keras.models.clone_model(notebook["model"])
    exec(bounded, notebook)
    printed = capsys.readouterr().out
    assert printed.startswith(f"base_lr {notebook['bounds'].base_lr:g}, max_lr")
    schedule = notebook["model"].optimizer._learning_rate
    assert schedule.get_config()["max_lr"] == notebook["bounds"].max_lr
    notebook["model"].fit(notebook["x"], notebook["y"], batch_size=200, epochs=1, verbose=0)


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
def test_the_code_of_the_librarys_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "notebook"}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(block, names)
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert (tmp_path / "bounds.png").stat().st_size > 10_000
    figure, bounds = names["figure"], names["bounds"]
    assert "accuracy" in figure.axes[1].get_ylabel()
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert f"max_lr = {bounds.max_lr:.3g}" in labels
    table = page.split("| key | |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table)) - {"ok", "warned", "spread_decades", "per_seed"}
    assert named == set(bounds.to_dict()) - {"schema"}
    steps = names["model"].optimizer.iterations
    assert int(steps) == 2 * 40  # goes on counting after loading


def test_curves_without_a_metric_are_drawn_as_one_plot_of_the_loss():
    import pandas as pd

    rates = np.logspace(-4, 0, 60)
    table = pd.DataFrame({"seed": 0, "step": np.arange(1, 61), "lr": rates, "loss": 2 - rates})
    from lrcycles.range_tests import plots

    assert len(plots.range_curves(table).axes) == 1


def test_every_public_name_exists_and_has_a_type_and_a_docstring():
    tree = ast.parse((ROOT / "src/lrcycles/__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(imported) == lrcycles.__all__
    for name, module in imported.items():
        public = getattr(lrcycles, name)
        assert public.__doc__, name
        assert public is getattr(sys.modules[module], name)
        # A module or package of that name would replace the function once it is imported.
        place = ROOT / "src/lrcycles" / name
        assert not place.with_suffix(".py").exists(), name
        assert not place.exists(), name


def test_importing_lrcycles_loads_nothing_heavy():
    heavy = "{'numpy', 'scipy', 'pandas', 'keras', 'tensorflow', 'mlflow', 'matplotlib'}"
    code = f"import sys, lrcycles; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT / "src", text=True)
    assert printed.strip() == "[]"
