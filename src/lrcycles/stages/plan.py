"""Which cells does a configuration ask for?"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Cell, Runtime, link
from lrcycles.cells.code import code_digest, source_files
from lrcycles.config.plain import plain
from lrcycles.config.resolve import arm_length, arm_schedule, arm_seeds, asks_for_bounds, seed_list
from lrcycles.config.schema import ArmConfig, Config, ScheduleName, TrainingSet
from lrcycles.errors import InputError

RESIDENT_BYTES = 1 << 30  # of uint8 pixels; beyond, feeding=auto streams them
SIDE_BY_SIDE = 8  # cells of one program on a GPU: the default number of seeds


def group_cells(
    config: Config, group: str, *, data: Mapping[str, Any], bounds: Mapping[str, Any] | None
) -> list[Cell]:
    """One cell per arm of the group and seed, with the bounds' values filled in.

    Args:
        data: what data.json holds.
        bounds: what bounds.json holds; None for a group that trains before there are any.
    """
    runtime = find_runtime(config)
    arms: dict[str, ArmConfig] = getattr(config.arms, group)
    seeds = {name: arm_seeds(config, arm) for name, arm in arms.items()}
    return link(
        _cell(config, group, name, arm, seed, runtime, data, bounds)
        for seed in dict.fromkeys(seed for own in seeds.values() for seed in own)
        for name, arm in arms.items()
        if seed in seeds[name]
    )


def sweep_cells(config: Config, *, data: Mapping[str, Any]) -> list[Cell]:
    """One cell per seed of the range test; its schedule is the sweep's own."""
    runtime = replace(find_runtime(config), side_by_side=1)  # each stops where it diverges
    stand_in = ArmConfig(ScheduleName("constant"), base_lr=config.range_test.min_lr)
    return [
        _cell(config, "range_test", "sweep", stand_in, seed, runtime, data, None)
        for seed in seed_list(config.range_test.seeds, "range_test.seeds")
    ]


def find_runtime(config: Config) -> Runtime:
    """What the trainings run on here.

    Raises:
        InputError: train.device=gpu, and there is none.
    """
    train = config.train
    backend = train.backend.value
    device = _device(train.device.value, backend)
    side_by_side = SIDE_BY_SIDE if (backend, device) == ("jax", "gpu") else 1
    return runtime(
        backend=backend,
        device=device,
        precision=train.precision.value,
        # One thread, and as many cells side by side as there are cores: the fastest split measured
        # on two cores, and no result depends on the machine's core count.
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
    """A runtime with the versions that are installed and the digest of the code that trains.

    Raises:
        InputError: the backend is not installed.
    """
    model_module = model_function.partition(":")[0]
    modules = ["lrcycles.training.chain", f"lrcycles.training.{backend}_engine", model_module]
    packages = [backend, *(["jaxlib"] if backend == "jax" else []), "keras", "numpy"]
    try:
        versions = {package: version(package) for package in packages}
    except PackageNotFoundError as error:
        raise InputError(
            f"train.backend={backend}, but {error.name} is not installed: "
            f"`pip install 'lrcycles[{backend}]'`, or use train.backend=tensorflow"
        ) from error
    return Runtime(
        backend=backend,
        device=device,
        precision=precision,
        threads=threads,
        side_by_side=side_by_side,
        versions=versions,
        sources=code_digest(source_files(modules)),
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
) -> Cell:
    epochs, batch_size, images = arm_length(config, arm)
    feeding = config.train.feeding.value
    large = images * math.prod(config.data.image_shape) > RESIDENT_BYTES
    return Cell(
        group=group,
        arm=name,
        seed=seed,
        schedule=arm_schedule(arm, config.train.cycles, bounds),
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
    """A number per class; balanced gives every class the same part of the loss."""
    weights = config.train.class_weights
    if weights == "none":
        return None
    if weights != "balanced":
        return [float(weight) for weight in plain(weights)]
    parts = ["train"] if arm.training_set == TrainingSet.split else ["train", "validation"]
    images = [sum(of_class) for of_class in zip(*(counts[part] for part in parts), strict=True)]
    return [sum(images) / (len(images) * count) if count else 0.0 for count in images]


def _device(setting: str, backend: str) -> str:
    # Asking the backend costs seconds of import; without a driver the answer is known.
    driver = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    if setting == "cpu" or (setting == "auto" and not driver):
        return "cpu"
    probe = f"from lrcycles.training.{backend}_engine import has_gpu; print(has_gpu())"
    if driver:
        source = str(Path(__file__).parents[2])
        code = f"import sys; sys.path.insert(0, {source!r}); {probe}"
        environment = os.environ | {"KERAS_BACKEND": backend}
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        if found.stdout.strip().endswith("True"):
            return "gpu"
    if setting == "auto":
        return "cpu"
    reason = f"{backend} sees none of its GPUs" if driver else "no NVIDIA driver was found"
    raise InputError(
        f"train.device=gpu, but {reason}: install the driver and `pip install lrcycles[gpu]`, "
        f"or use train.device=auto"
    )
