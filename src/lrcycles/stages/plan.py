"""Makes the cells that a configuration asks for."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell, Runtime, link
from lrcycles.cells.code import code_digest, source_files
from lrcycles.config.checks import need_precision
from lrcycles.config.plain import plain
from lrcycles.config.resolve import (
    arm_averages,
    arm_length,
    arm_schedule,
    arm_seeds,
    asks_for_bounds,
    asks_for_peak,
    seed_list,
    tuning_seeds,
)
from lrcycles.config.schema import ArmConfig, Config, ScheduleName, TrainingSet
from lrcycles.errors import InputError, reason
from lrcycles.stages import peaks

RESIDENT_BYTES = 1 << 30  # of uint8 pixels; feeding=auto streams larger data
SIDE_BY_SIDE = 8  # cells in one program on a GPU: the default number of seeds


def group_cells(
    config: Config,
    group: str,
    *,
    data: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    chosen: Mapping[str, float] | None = None,
) -> list[Cell]:
    """Make one cell per seed and arm of the group, with the bounds' values filled in.

    Args:
        data: the content of data.json.
        bounds: the content of bounds.json; None for a group that trains without bounds.
        chosen: the peaks of the arms that ask for one; an arm whose peak is not known is left out.
    """
    runtime, chosen = find_runtime(config), chosen or {}
    arms: dict[str, ArmConfig] = {
        name: arm
        for name, arm in getattr(config.arms, group).items()
        if not asks_for_peak(arm) or name in chosen
    }
    seeds = {name: arm_seeds(config, arm) for name, arm in arms.items()}
    return link(
        replace(
            _cell(config, group, name, arm, seed, runtime, data, bounds, chosen.get(name)),
            averages=arm_averages(config, arm) or None,
        )
        for seed in dict.fromkeys(seed for own in seeds.values() for seed in own)
        for name, arm in arms.items()
        if seed in seeds[name]
    )


def tuning_cells(config: Config, group: str, *, data: Mapping[str, Any]) -> list[Cell]:
    """Make one cell per tuning seed and peak, for every arm of the group that asks for a peak.

    Args:
        data: the content of data.json.
    """
    runtime = find_runtime(config)
    return [
        _cell(config, group, peaks.trial_name(name, peak), arm, seed, runtime, data, None, peak)
        for seed in tuning_seeds(config)
        for name, arm in getattr(config.arms, group).items()
        if asks_for_peak(arm)
        for peak in config.train.peaks
    ]


def sweep_cells(config: Config, *, data: Mapping[str, Any]) -> list[Cell]:
    """Make one cell per seed of the range test; its schedule only fills a place."""
    runtime, seeds = find_runtime(config), seed_list(config.range_test.seeds, "range_test.seeds")
    runtime = replace(runtime, side_by_side=min(runtime.side_by_side, len(seeds)))
    stand_in = ArmConfig(ScheduleName("constant"), base_lr=config.range_test.min_lr)
    return [
        _cell(config, "range_test", "sweep", stand_in, seed, runtime, data, None) for seed in seeds
    ]


def find_runtime(config: Config) -> Runtime:
    """Resolve backend, device and threads of the trainings on this machine.

    Raises:
        InputError: train.device is gpu and no GPU is usable, or the backend is not installed.
    """
    train = config.train
    backend = train.backend.value
    device = _device(train.device.value, backend)
    need_precision(train.precision, device=device)
    side_by_side = SIDE_BY_SIDE if (backend, device) == ("jax", "gpu") else 1
    return runtime(
        backend=backend,
        device=device,
        precision=train.precision.value,
        # One thread per cell, and as many processes as cores, was the fastest split on two cores.
        # It also makes results independent of the machine's number of cores.
        threads=1 if train.threads_per_cell == "auto" else train.threads_per_cell,
        side_by_side=side_by_side if train.side_by_side == "auto" else train.side_by_side,
        model_function=config.model.function,
    )


def runtime(
    *,
    backend: str,
    device: str,
    precision: str,
    threads: int,
    model_function: str,
    side_by_side: int = 1,
) -> Runtime:
    """Make a runtime with the installed versions and the digest of the code that trains.

    Args:
        model_function: module:function; its module counts as code that trains.

    Raises:
        InputError: the backend is not installed, or the module is no Python.
    """
    model_module = model_function.partition(":")[0]
    modules = ["lrcycles.training.chain", f"lrcycles.training.{backend}_engine", model_module]
    packages = [backend, *(["jaxlib"] if backend == "jax" else []), "keras", "numpy"]
    try:
        versions = {package: version(package) for package in packages}
    except PackageNotFoundError as error:
        command = "-e ." if backend == "tensorflow" else f"-e '.[{backend}]'"
        other = "" if backend == "tensorflow" else ", or set train.backend=tensorflow"
        raise InputError(
            f"train.backend must be installed. Received: train.backend={backend} without the "
            f"package {error.name}. Run `.venv/bin/pip install {command}`{other}."
        ) from error
    try:
        sources = code_digest(source_files(modules))
    except (SyntaxError, ValueError) as error:  # ValueError: it is no text
        raise InputError(
            f"The module of model.function={model_function}, and what it imports, must be Python. "
            f"Received: {reason(error)}. Correct the file."
        ) from error
    return Runtime(
        backend=backend,
        device=device,
        precision=precision,
        threads=threads,
        side_by_side=side_by_side,
        versions=versions,
        sources=sources,
    )


def _cell(
    config: Config,
    group: str,
    name: str,
    arm: ArmConfig,
    seed: int,
    runtime: Runtime,
    data: Mapping[str, Any],
    bounds: Mapping[str, Any] | None,
    peak: float | None = None,
) -> Cell:
    epochs, batch_size, images = arm_length(config, arm)
    feeding = config.train.feeding.value
    large = images * math.prod(config.data.image_shape) > RESIDENT_BYTES
    return Cell(
        group=group,
        arm=name,
        seed=seed,
        schedule=arm_schedule(config, arm, bounds, peak),
        optimizer=plain(arm.optimizer or config.optimizer),
        momentum=_momentum(arm),
        class_weights=_class_weights(config, arm, data["class_counts"]),
        streamed=feeding == "streamed" or (feeding == "auto" and large),
        model={"function": config.model.function, "arguments": plain(config.model.arguments)},
        classes=len(config.data.classes),
        epochs=epochs,
        batch_size=batch_size,
        training_set=str(plain(arm.training_set)),
        compile=config.train.compile.value,
        data=data["digest"],
        runtime=runtime,
        uses_bounds=asks_for_bounds(arm),
        continues=arm.continues,
    )


def _momentum(arm: ArmConfig) -> dict[str, float] | None:
    if arm.max_momentum is None or arm.base_momentum is None:
        return None
    return {"base_momentum": arm.base_momentum, "max_momentum": arm.max_momentum}


def _class_weights(
    config: Config, arm: ArmConfig, counts: Mapping[str, Sequence[int]]
) -> list[float] | None:
    """Resolve train.class_weights; balanced gives every class the same share of the loss."""
    weights = config.train.class_weights
    if weights == "none":
        return None
    if weights != "balanced":
        return [float(weight) for weight in plain(weights)]
    parts = ["train"] if arm.training_set == TrainingSet.split else ["train", "validation"]
    images = [sum(of_class) for of_class in zip(*(counts[part] for part in parts), strict=True)]
    return [sum(images) / (len(images) * count) if count else 0.0 for count in images]


@cache  # the probe starts a process
def _device(setting: str, backend: str) -> str:
    # To ask the backend costs seconds of import, so look for a driver first.
    driver = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    if setting == "cpu" or (setting == "auto" and not driver):
        return "cpu"
    probe = f"from lrcycles.training.{backend}_engine import has_gpu; print(has_gpu())"
    if driver:
        source = str(Path(__file__).parents[2])
        code = f"import sys; sys.path.insert(0, {source!r}); {probe}"
        environment = os.environ | {"KERAS_BACKEND": backend}
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        if answer.stdout.strip().endswith("True"):
            return "gpu"
    if setting == "auto":
        return "cpu"
    reason = f"{backend} sees no GPU" if driver else "no NVIDIA driver was found"
    package = "-e '.[jax-cuda]'" if backend == "jax" else "-e '.[gpu]'"
    install = "Run" if driver else "Install the driver and run"
    raise InputError(
        f"train.device must be a device of this machine. Received: train.device=gpu ({reason}). "
        f"{install} `.venv/bin/pip install {package}`, or set train.device=auto."
    )
