"""Compares our copies of other tools' rules with the real tools, on the same losses.

Each tool runs its own range test, with its own loop, smoothing and stop, on a model that returns
given losses. Only the position of the suggested rate on the sweep is compared. The answers are kept
in tests/references/peer_rules.json, so that the default tests need none of the tools:

    make bench                                                       # compares only
    PYTHONPATH=src .venv-bench/bin/python -m benchmarks.peer_rules_check   # writes the file

ktrain needs an old Keras. Here its LRFinder runs without Keras.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from lrcycles.bounds.peers import PEER_RULES

FILE = Path(__file__).parents[1] / "tests" / "references" / "peer_rules.json"
CURVES = 200
LOWEST, HIGHEST = 1e-7, 10.0
PACKAGES = ("fastai", "lightning", "torch-lr-finder", "pytorch-ignite", "ktrain", "torch", "numpy")
Answers = dict[str, int | None]


def curve(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate the rates and raw losses of one sweep, rounded to float32 as in a framework.

    Most losses fall from about 2.3 to 0.3 and then diverge. A few stay flat, only rise, or end in
    nan or inf. The curves differ in noise, length, and where they fall and diverge.
    """
    random = np.random.default_rng(seed)
    points = (100, 100, 200, 37, 18)[seed % 5]
    exponent = np.log10(LOWEST) + np.log10(HIGHEST / LOWEST) * np.arange(points) / points
    centre = random.uniform(-4.5, -1.5)
    noise = random.choice([0.0, 0.02, 0.1, 0.3])
    fall = 2.0 / (1 + np.exp(-(exponent - centre) / random.uniform(0.15, 0.5)))
    rise = 10 ** np.minimum(2 * (exponent - centre - random.uniform(1, 3)), 6)
    kind = seed % 11
    if kind == 7:  # without noise, rounding would decide
        noise = max(noise, 0.02)
    shape = {7: 0 * fall, 8: 0.3 * (exponent + 7)}.get(kind, rise - fall)
    loss = np.maximum(2.3 + shape + noise * random.normal(size=points), 0.01)
    if kind in (9, 10):
        loss[int(points * random.uniform(0.5, 0.98)) :] = np.nan if kind == 9 else np.inf
    return 10**exponent, loss.astype(np.float32).astype(np.float64)


def ours(seed: int) -> Answers:
    """Return the points that our rules choose on the curve of `seed`."""
    lr, loss = curve(seed)
    return {
        name: None if (rate := rule(lr, loss).lr) is None else _point(rate * rule.divisor, lr)
        for name, rule in PEER_RULES.items()
    }


def _point(rate: float, lr: Any) -> int:
    return int(np.argmin(np.abs(np.log(np.asarray(lr, float)) - np.log(rate))))


class _HandedLoss:
    """Returns given losses, whatever the network computes, with a gradient of zero."""

    def __init__(self, loss: np.ndarray) -> None:
        self.left = iter(loss)

    def __call__(self, output: Any, *_: Any) -> Any:
        return output.sum() * 0 + float(next(self.left))


def fastai(loss: np.ndarray) -> Answers:
    import torch
    from fastai.callback.schedule import minimum, slide, steep, valley
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    def or_none(rule: Any) -> Any:
        def answer(*arguments: Any) -> Any:
            try:
                return rule(*arguments)
            except (IndexError, ValueError, RuntimeError):
                return None, (0, 0)

        answer.__name__ = rule.__name__
        return answer

    data = [(torch.zeros(1), torch.zeros(1))] * len(loss)
    loaders = DataLoaders(
        torch.utils.data.DataLoader(data), torch.utils.data.DataLoader(data), device="cpu"
    )
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(loaders, torch.nn.Linear(1, 1), loss_func=_HandedLoss(loss), path=folder)
        suggestions = learner.lr_find(
            LOWEST,
            HIGHEST,
            num_it=len(loss),
            show_plot=False,
            suggest_funcs=tuple(or_none(rule) for rule in (valley, slide, steep, minimum)),
        )
    rates = learner.recorder.lrs
    return {
        name: None if (rate := getattr(suggestions, name)) is None else _point(rate * times, rates)
        for name, times in (("valley", 1), ("slide", 1), ("steep", 1), ("minimum", 10))
    }


def lightning(loss: np.ndarray) -> Answers:
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.tuner import Tuner

    class Net(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.handed = torch.nn.Linear(1, 1), _HandedLoss(loss)

        def training_step(self, batch: Any) -> Any:
            return self.handed(self.layer(batch))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1.0)

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        batches = torch.utils.data.DataLoader(torch.zeros(len(loss), 1))
        finder = Tuner(trainer).lr_find(
            Net(), batches, min_lr=LOWEST, max_lr=HIGHEST, num_training=len(loss), update_attr=False
        )
    assert finder is not None
    rate = finder.suggestion()
    return {"lightning": None if rate is None else finder.results["lr"].index(rate)}


def torch_lr_finder(loss: np.ndarray) -> Answers:
    import torch
    from torch_lr_finder import LRFinder

    net = torch.nn.Linear(1, 1)
    finder = LRFinder(net, torch.optim.SGD(net.parameters(), lr=LOWEST), _HandedLoss(loss))
    data = torch.utils.data.TensorDataset(torch.zeros(len(loss), 1), torch.zeros(len(loss)))
    finder.range_test(torch.utils.data.DataLoader(data), end_lr=HIGHEST, num_iter=len(loss))
    try:
        _, rate = finder.plot(ax=MagicMock())
    except RuntimeError:
        return {"torch_lr_finder": None}
    return {"torch_lr_finder": finder.history["lr"].index(rate)}


def ignite(loss: np.ndarray) -> Answers:
    import torch
    from ignite.engine import Engine
    from ignite.handlers import FastaiLRFinder

    net = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=LOWEST)
    trainer = Engine(lambda _, value: float(value))
    finder = FastaiLRFinder()
    kept = {"model": net, "optimizer": optimizer}
    with finder.attach(trainer, kept, num_iter=len(loss), end_lr=HIGHEST) as running:
        running.run(loss.tolist())
    try:
        rate = finder.lr_suggestion()
    except RuntimeError:
        return {"ignite": None}
    return {"ignite": finder.get_results()["lr"].index(rate)}


def ktrain(loss: np.ndarray) -> Answers:
    optimizer = types.SimpleNamespace(lr=[LOWEST])
    network = types.SimpleNamespace(optimizer=optimizer, stop_training=False)
    finder = _ktrain_module().LRFinder(network)
    finder.lr_mult = (HIGHEST / LOWEST) ** (1 / len(loss))
    for batch, value in enumerate(loss):
        finder.on_batch_end(batch, {"loss": value})
        if network.stop_training:
            break
    finder._compute_stats()
    lowest, steepest, valley = finder.ml, finder.mg, finder.valley(finder.lrs, finder.losses)
    return {
        "ktrain": None if steepest is None else int(steepest),
        "ktrain_minimum": int(lowest),
        "ktrain_valley": int(valley),
    }


def _ktrain_module() -> Any:
    """Import lrfinder.py of ktrain without the rest of ktrain and without its Keras."""
    if "handed.lroptimize.lrfinder" in sys.modules:
        return sys.modules["handed.lroptimize.lrfinder"]
    spec = importlib.util.find_spec("ktrain")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for name in ("handed", "handed.utils", "handed.imports", "handed.lroptimize"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["handed"].utils = sys.modules["handed.utils"]  # type: ignore[attr-defined]
    vars(sys.modules["handed.utils"])["DEFAULT_BS"] = 32
    backend = types.SimpleNamespace(
        get_value=lambda cell: cell[0], set_value=lambda cell, value: cell.__setitem__(0, value)
    )
    vars(sys.modules["handed.imports"]).update(np=np, warnings=warnings, K=backend)
    path = Path(spec.submodule_search_locations[0]) / "lroptimize" / "lrfinder.py"
    file = importlib.util.spec_from_file_location("handed.lroptimize.lrfinder", path)
    assert file is not None
    assert file.loader is not None
    module = importlib.util.module_from_spec(file)
    sys.modules[file.name] = module
    file.loader.exec_module(module)
    return module


TOOLS = (fastai, lightning, torch_lr_finder, ignite, ktrain)


def ask_the_tools() -> dict[str, list[int | None]]:
    """Ask each tool for its answer on each curve."""
    answers: dict[str, list[int | None]] = {name: [] for name in PEER_RULES}
    for seed in range(CURVES):
        _, loss = curve(seed)
        for tool in TOOLS:
            with _quiet():
                points = tool(loss)
            for name, point in points.items():
                answers[name].append(point)
        if sys.stderr.isatty():
            print(f"Curve {seed + 1} of {CURVES}", end="\r", file=sys.stderr)
    return answers


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the tools, which print and warn at every sweep."""
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with (
        Path(os.devnull).open("w") as nowhere,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare and write no file")
    check = parser.parse_args().check
    theirs = ask_the_tools()
    own = [ours(seed) for seed in range(CURVES)]
    agree = True
    print(f"{'rule':16} {'same point':>10} {'both none':>10} {'differ':>7}")
    for name, points in theirs.items():
        pairs = [(mine[name], point) for mine, point in zip(own, points, strict=True)]
        none = pairs.count((None, None))
        same = sum(mine == point for mine, point in pairs) - none
        differ = [(seed, *pair) for seed, pair in enumerate(pairs) if pair[0] != pair[1]]
        print(f"{name:16} {same:10} {none:10} {len(differ):7}  {differ[:4] or ''}")
        agree &= not differ
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    if check:
        committed = json.loads(FILE.read_text())["points"]
        same_file = committed == theirs
        print(f"{FILE.name} holds {'the same' if same_file else 'other'} answers.")
        return int(not agree or not same_file)
    rows = ",\n".join(f'    "{name}": {json.dumps(points)}' for name, points in theirs.items())
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(
        f'{{\n  "versions": {json.dumps(versions)},\n  "points": {{\n{rows}\n  }}\n}}\n'
    )
    return int(not agree)


if __name__ == "__main__":
    sys.exit(main())
