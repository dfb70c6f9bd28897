"""Made-up files of all stages with planted effects, as the report reads them."""

from __future__ import annotations

import csv
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lrcycles import files
from lrcycles.cells.result import CellResult, write_result
from lrcycles.config.schema import Published, Report
from lrcycles.data import plots
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Pair
from lrcycles.evidence.weigh import Evidence, weigh

REPORT = Report(
    margin_percent=0.05,
    target_percent=None,
    primary={"clr": ["baseline", "linear_decay"]},
    factors={},
    published={
        "published_baseline": Published(error_percent=1.91, seconds=86.42),
        "published": Published(error_percent=1.64, seconds=43.23),
    },
    published_source="a tutorial",
    reference={},
    reference_source="",
    reference_notes=[],
)
TEST_IMAGES = 10_000
BASELINE_ERRORS = [1.80, 1.92, 1.85, 1.77, 1.96, 1.83, 1.88, 1.79]
SECONDS_PER_STEP = {200: 0.004, 2000: 0.04}
FIT_SECONDS = {200: [2.4, 2.6], 2000: [1.7, 1.8]}  # of one epoch
STEP_SECONDS = [0.008, 0.009] * 10
RANGE_TEST_SECONDS = 6.0
EPOCHS, STEPS_PER_EPOCH = 10, 275
CLASSES = [str(digit) for digit in range(10)]
BALANCE = {"train": [5500] * 10, "validation": [500] * 10, "test": [1000] * 10}
BASE_LR, MAX_LR, STEP_SIZE = 3.2e-4, 6.4e-3, 458


def write_artifacts(
    root: Path,
    arms: Mapping[str, Mapping[str, Any]],
    *,
    differences: Mapping[str, Any] | None = None,
    bound_warnings: Sequence[str] = (),
    fit: bool = False,
) -> Path:
    """Write every stage's files; `arms` gives, by name, what `_cell` plants."""
    files.write_json(root / "config/differences.json", dict(differences or {}))
    _write_data(root / "data")
    _write_range_test(root / "range_test", root / "bounds", bound_warnings)
    rows: dict[str, list[dict[str, Any]]] = {"baseline": [], "clr": [], "controls": []}
    for name, planted in arms.items():
        for seed, error in planted["errors"].items():
            group = planted.get("group", "controls")
            result = _cell(root / "train" / group, name, seed, error, planted)
            rows[group].append(result)
    for group, cells in rows.items():
        _write_cells(root / "train" / group / "cells.csv", cells)
    if fit:
        measured = [
            {
                "batch_size": batch,
                "fit_seconds": seconds,
                "compiled_seconds": [1.1, 1.3],
                "step_seconds": STEP_SECONDS,
                "scheduled_step_seconds": [
                    second * (1 + (place // 2 + 1) / 100)  # 1 to 10 % more, twice each
                    for place, second in enumerate(STEP_SECONDS)
                ],
                "threads": 2,
            }
            for batch, seconds in FIT_SECONDS.items()
        ]
        files.write_json(root / "train/controls/fit_epochs.json", measured)
    return root


def tutorial_arms(gain: float = 0.2, seeds: int = 8) -> dict[str, dict[str, Any]]:
    """The arms of experiment `tutorial`; clr makes `gain` points fewer errors in every seed.

    The decay makes 0.01 points fewer errors than clr in half of the seeds and 0.01 more in the
    other half. Errors are whole images.
    """
    errors = {seed: BASELINE_ERRORS[seed % 8] for seed in range(seeds)}
    wobble = [0.01, -0.02, 0.02, -0.01, 0.02, -0.01, 0.01, -0.02]
    replay = {seed: round(error - 0.22 + wobble[seed % 8], 2) for seed, error in errors.items()}
    clr = {s: round(e - gain - (wobble[s % 8] if gain else 0), 2) for s, e in errors.items()}
    decay = {s: round(error - 0.01 * (-1) ** s, 2) for s, error in clr.items()}
    on_all = {"training_set": "all", "images": 60000, "steps": 3000}
    return {
        "baseline": {"group": "baseline", "errors": errors},
        "clr": {"group": "clr", "errors": clr, "schedule": "triangular"},
        "linear_decay": {
            "errors": decay, "schedule": "linear_decay", "base_lr": 0.0, "max_lr": MAX_LR,
            "falling": True, "uses_bounds": True,
        },
        "published_baseline": {"errors": errors, **on_all},
        "published": {
            "errors": replay, **on_all, "steps": 300, "batch_size": 2000, "step_size": 2000,
            "base_lr": 0.001, "max_lr": 0.006, "schedule": "triangular",
            "continues": "published_baseline",
        },
    }  # fmt: skip


FACTORS = {
    "published_baseline": [],
    "longer": ["ten more epochs"],
    "from_scratch": ["larger batch"],
    "published": ["ten more epochs", "larger batch"],
}


def factorial_arms(**more: Any) -> dict[str, dict[str, Any]]:
    """The arms of `tutorial`, and two that complete the factorial `FACTORS`.

    Ten more epochs take 0.1 points alone, the larger batch 0.04.
    """
    arms = tutorial_arms(**more)
    first = arms["published_baseline"]
    effects = {"longer": (0.1, 0.02), "from_scratch": (0.04, 0.01)}
    for name, (effect, wobble) in effects.items():
        errors = {s: round(e - effect + wobble * (-1) ** s, 2) for s, e in first["errors"].items()}
        arms[name] = {**first, "errors": errors}
    arms["longer"]["continues"] = "published_baseline"
    arms["from_scratch"] |= {"steps": 300, "batch_size": 2000}
    return arms


def schedule_arms() -> dict[str, dict[str, Any]]:
    """Two more constant rates, a point worse, and a window beside the triangle."""
    arms = tutorial_arms()
    del arms["published"], arms["published_baseline"]
    worse = {seed: round(error + 1, 2) for seed, error in arms["baseline"]["errors"].items()}
    arms["rate_01"] = {"errors": worse, "base_lr": 0.01}
    arms["rate_0001"] = {"errors": worse, "base_lr": 0.0001}
    arms["welch"] = {**arms["clr"], "group": "controls", "schedule": "welch"}
    return arms


def _write_data(folder: Path) -> None:
    parts = [f"{part}_{kind}" for part in ("train", "test") for kind in ("images", "labels")]
    description = {
        "schema": 1, "name": "mnist", "source": "local",
        "sha256": {part: f"{place}" * 64 for place, part in enumerate(parts)},
        "counts": {"pool": 60000, "train": 55000, "validation": 5000, "test": 10000},
        "class_counts": BALANCE, "classes": CLASSES, "image_shape": [28, 28], "split_seed": 0,
        "digest": "d" * 64,
    }  # fmt: skip
    files.write_json(folder / "data.json", description)
    for name, picture in _pictures_of_data().items():
        (folder / name).write_bytes(picture)


@cache
def _pictures_of_data() -> dict[str, bytes]:
    """Draw the pictures of stage `data` once for all tests, because that takes longest."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 28, 28)).astype(np.uint8)
    digits = plots.sample_digits(images, np.repeat(np.arange(10), 12), CLASSES)
    return {
        "digits.png": _bytes_of(lambda path: files.write_figure(path, digits)),
        "classes.png": _bytes_of(
            lambda path: files.write_figure(path, plots.class_balance(BALANCE, CLASSES))
        ),
    }


def _bytes_of(write: Callable[[Path], None]) -> bytes:
    """Read what `write` writes into the file that it is given."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def range_curves(seeds: int = 5, steps: int = 400) -> pd.DataFrame:
    """Loss flat, then falling, then rising; seed 1 stops early on divergence."""
    rng = np.random.default_rng(1)
    lr = np.geomspace(1e-5, 1.0, steps)
    decades = np.log10(lr)
    clean = (
        0.35 + 2.0 / (1 + np.exp(4 * (decades + 3.6))) + 1.6 * np.clip(decades + 1.3, 0, None) ** 2
    )
    tables = []
    for seed in range(seeds):
        length = steps - 40 if seed == 1 else steps
        loss = clean * rng.lognormal(0, 0.12, steps)
        accuracy = np.clip(1 - loss / 2.6, 0.1, 0.95)
        accuracy[np.arange(1, steps + 1) % 4 != 0] = np.nan
        if seed == 1:
            loss[length - 1] = np.nan
        columns = {"seed": seed, "step": np.arange(1, steps + 1), "lr": lr, "loss": loss}
        tables.append(pd.DataFrame({**columns, "accuracy": accuracy})[:length])
    return pd.concat(tables, ignore_index=True)


def bounds(warnings: Sequence[str] = ()) -> dict[str, Any]:
    per_seed = [
        {"seed": seed, "base_lr": BASE_LR * factor, "max_lr": MAX_LR / factor}
        for seed, factor in enumerate([0.8, 1.0, 1.1, 1.3, 0.9])
    ]
    per_seed.append({"seed": 5, "base_lr": BASE_LR, "max_lr": None})  # shows no end
    interval = {
        "base_lr": {"low": 2.5e-4, "high": 4.2e-4, "spread_decades": 0.23},
        "max_lr": {"low": 4.9e-3, "high": 8e-3, "spread_decades": 0.21},
        "per_seed": per_seed,
    }
    return {
        "schema": 1, "base_lr": BASE_LR, "max_lr": MAX_LR, "cycles": 3, "step_size": STEP_SIZE,
        "rule": "smith", "status": "ok", "warnings": list(warnings), "interval": interval,
        "reasons": ["accuracy begins to rise at 0.00032", "accuracy stops rising at 0.0064"],
    }  # fmt: skip


@cache
def _table_of_curves() -> bytes:
    return _bytes_of(lambda path: files.write_table(path, range_curves()))


def _write_range_test(folder: Path, bounds_folder: Path, warnings: Sequence[str]) -> None:
    test = {
        "schema": 1, "ramp": "exponential", "min_lr": 1e-5, "max_lr": 1.0, "steps": 400,
        "seeds": [0, 1, 2, 3, 4], "batch_size": 200, "evaluate_every_steps": 4,
        "heldout_images": 2000, "initial_accuracy": {str(seed): 0.1 for seed in range(5)},
        "train_seconds": RANGE_TEST_SECONDS, "compile_seconds": 3.0,
        "stopped_at": {"0": None, "1": 360, "2": None, "3": None, "4": None},
    }  # fmt: skip
    files.write_json(folder / "range_test.json", test)
    (folder / "curves.parquet").write_bytes(_table_of_curves())
    files.write_json(bounds_folder / "bounds.json", bounds(warnings))


def history(final: float, epochs: int, steps_per_epoch: int) -> list[Any]:
    """Falls from epoch to epoch and ends at `final`."""
    errors = [final + 4.0 * (1 / epoch**1.5 - 1 / epochs**1.5) for epoch in range(1, epochs + 1)]
    return [
        {
            "epoch": epoch, "step": epoch * steps_per_epoch, "validation_loss": error / 30,
            "validation_error_percent": error,
        }
        for epoch, error in enumerate(errors, start=1)
    ]  # fmt: skip


def planted_result(
    group: str, arm: str, seed: int, error: float | None, planted: Mapping[str, Any]
) -> dict[str, Any]:
    """What result.json holds of one cell; an error of None makes it a diverged one."""
    epochs = planted.get("epochs", EPOCHS)
    steps = planted.get("steps", epochs * STEPS_PER_EPOCH)
    steps = steps if error is not None else steps // epochs  # it diverged in its first epoch
    batch = planted.get("batch_size", 200)
    per_step = planted.get("seconds_per_step", SECONDS_PER_STEP[batch])
    triangular = planted.get("schedule") in ("triangular", "welch")
    chosen = triangular and "base_lr" not in planted
    step_size = planted.get("step_size", STEP_SIZE) if triangular else None
    low = planted.get("base_lr", BASE_LR if triangular else 0.001)
    high = planted.get("max_lr", MAX_LR if triangular else None)
    final = None if error is None else error + 0.1
    entries = [] if final is None else history(final, epochs, steps // epochs)
    machine = ["device_name", "threads", "side_by_side", "backend", "precision", "versions", "data"]
    machine += ["test_images"]
    return {
        "schema": 1, "arm": arm, "group": group, "seed": seed,
        "key": f"{planted.get('trained_as', arm)} {seed} {error}",
        "status": "diverged" if error is None else "finished", "test_error_percent": error,
        "test_loss": None if error is None else planted.get("loss", error / 30),
        "validation_error_percent": final,
        "validation_loss": None if final is None else final / 30,
        "train_seconds": steps * per_step, "compile_seconds": 2.5,
        "evaluate_seconds": 0.3, "steps": steps, "steps_per_second": 1 / per_step,
        "epochs": epochs, "batch_size": batch, "images": planted.get("images", 55000),
        "device": "cpu", "device_name": "a processor", "threads": 1,
        "backend": "tensorflow",
        "precision": "float32", "compile": "xla", "side_by_side": 1, "streamed": False,
        "data": "d" * 64, "classes": 10, "test_images": TEST_IMAGES, "momentum": None,
        "model": {"function": "lrcycles.models:mlp", "arguments": {}},
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.0", "numpy": "2.3.0"},
        "schedule": {
            "name": planted.get("schedule", "constant"), "base_lr": low, "max_lr": high,
            "step_size": step_size,
            "cycles": planted.get("cycles", 3) if triangular else None,
        },
        "optimizer": {"name": "adam", "arguments": {}}, "continues": planted.get("continues"),
        "training_set": planted.get("training_set", "split"), "history": entries,
        "uses_bounds": planted.get("uses_bounds", chosen),
        **{key: planted[key] for key in machine if key in planted},
    }  # fmt: skip


def _cell(
    folder: Path, arm: str, seed: int, error: float | None, planted: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one cell, and the rate of each of its steps."""
    result = planted_result(folder.name, arm, seed, error, planted)
    write_result(folder / arm / str(seed) / "result.json", CellResult.from_dict(result))
    if error is not None and result["test_images"]:
        wrong = mistakes(planted.get("trained_as", arm), seed, error, result["test_images"])
        np.save(folder / arm / str(seed) / "correct.npy", np.packbits(~wrong))
    schedule = result["schedule"]
    rates = schedule["base_lr"], schedule["max_lr"], schedule["step_size"]
    table = _table_of_steps(result["steps"], *rates, falling=bool(planted.get("falling")))
    (folder / arm / str(seed) / "steps.parquet").write_bytes(table)
    return result


def mistakes(arm: str, seed: int, error_percent: float, images: int) -> NDArray[np.bool_]:
    """Choose which test images a training gets wrong: as many as its error is.

    An image's difficulty is shared by all trainings, a part of it by the seeds of an arm. So are
    mistakes shared as on MNIST, where other test images move a paired difference by 0.021 points.
    """
    count = error_percent / 100 * images
    assert abs(count - round(count)) < 1e-6, f"an error of {error_percent} % is no whole image"
    parts = ((1.0, ()), (0.06, (arm,)), (0.3, (arm, seed)))
    difficulty = sum(size * _normal(images, *name) for size, name in parts)
    wrong = np.zeros(images, dtype=bool)
    wrong[np.argpartition(-difficulty, max(round(count) - 1, 0))[: round(count)]] = True
    return wrong


def _normal(images: int, *name: object) -> NDArray[np.float32]:
    """Draw the same numbers for the same name."""
    seed = zlib.crc32(repr(name).encode())
    return np.random.default_rng(seed).standard_normal(images, dtype=np.float32)


@cache
def _table_of_steps(
    steps: int, low: float, high: float | None, step_size: int | None, *, falling: bool
) -> bytes:
    """Make steps.parquet once for all cells with the same rates."""
    count = np.arange(steps)
    lr = np.full(steps, low)
    if step_size is not None:
        lr = low + (high - low) * (1 - np.abs((count / step_size) % 2 - 1))
    if falling:
        lr = np.linspace(high, low, steps)
    epoch = count // max(steps // EPOCHS, 1) + 1
    columns = {"step": count + 1, "epoch": epoch, "lr": lr.astype(np.float32), "loss": 0.1}
    return _bytes_of(lambda path: files.write_table(path, pd.DataFrame(columns)))


def _write_cells(path: Path, cells: Sequence[Mapping[str, Any]]) -> None:
    columns = ["group", "arm", "seed", "key", "status", "reused", "run_id", "test_error_percent"]
    columns += ["test_loss", "validation_error_percent", "train_seconds", "compile_seconds"]
    columns += ["steps", "batch_size", "epochs"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({"reused": False, "run_id": "", **cell} for cell in cells)


def arm(name: str, errors: dict[int, float | None], **planted: Any) -> Arm:
    """Make an arm in memory, with the mistakes of every run."""
    group, rates = planted.pop("group", "controls"), planted.pop("rates", [0.001])
    results = {
        seed: CellResult.from_dict(planted_result(group, name, seed, error, planted))
        for seed, error in errors.items()
    }
    wrong = {
        seed: mistakes(planted.get("trained_as", name), seed, round(error, 2), 10_000)
        for seed, error in errors.items()
        if error is not None
    }
    return Arm(name, group, results, rates, wrong)


def weighed(arms: list[Arm], pairs: list[Pair], **more: Any) -> Evidence:
    """Weigh arms in memory; `more` is of conf/report, or of `weigh`."""
    seconds = more.pop("range_test_seconds", {})
    of_weigh = {key: more.pop(key) for key in ("replay", "stages") if key in more}
    report = replace(REPORT, **more)
    names = [each.name for each in arms]
    by_name = dict(zip(names, arms, strict=True))
    return weigh(
        by_name, names, pairs=pairs, report=report, range_test_seconds=seconds, candidates=[],
        **of_weigh,
    )  # fmt: skip


def read_metrics(out: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"metrics.json holds {constant}")

    return json.loads((out / "metrics.json").read_text(), parse_constant=refuse)
