"""Which cells does a configuration ask for?"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lrcycles.cells import Cell, Runtime, code_digest, link, source_files
from lrcycles.config import arm_length, plain, seed_list
from lrcycles.errors import InputError
from lrcycles.schedules import taken_by
from lrcycles.schema import BOUNDS, Arm, Config


def group_cells(
    config: Config, group: str, *, data_digest: str, bounds: Mapping[str, Any] | None
) -> list[Cell]:
    """One cell per arm of the group and seed, with the bounds' values filled in.

    Args:
        bounds: what bounds.json holds; None for a group that trains before there are any.
    """
    runtime = find_runtime(config)
    arms: dict[str, Arm] = getattr(config.arms, group)
    return link(
        _cell(config, group, name, arm, seed, runtime, data_digest, bounds)
        for seed in seed_list(config.train.seeds, "train.seeds")
        for name, arm in arms.items()
    )


def sweep_cells(config: Config, *, data_digest: str) -> list[Cell]:
    """One cell per seed of the range test; its schedule is the sweep's own."""
    runtime = find_runtime(config)
    stand_in = Arm(schedule="constant", base_lr=config.range_test.min_lr)  # type: ignore[arg-type]
    return [
        _cell(config, "range_test", "sweep", stand_in, seed, runtime, data_digest, None)
        for seed in seed_list(config.range_test.seeds, "range_test.seeds")
    ]


def find_runtime(config: Config) -> Runtime:
    """What the trainings run on here.

    Raises:
        InputError: train.device=gpu, and there is none.
    """
    train = config.train
    return runtime(
        backend=train.backend.value,
        device=_device(train.device.value, train.backend.value),
        precision=train.precision.value,
        # One thread, and as many cells side by side as there are cores: the fastest split measured
        # on two cores, and no result depends on the machine's core count.
        threads=1 if train.threads_per_cell == "auto" else train.threads_per_cell,
        model_function=config.model.function,
    )


def runtime(
    *, backend: str, device: str, precision: str, threads: int, model_function: str
) -> Runtime:
    """A runtime with the versions that are installed and the digest of the code that trains."""
    model_module = model_function.partition(":")[0]
    modules = ["lrcycles.training.chain", f"lrcycles.training.{backend}_engine", model_module]
    return Runtime(
        backend=backend,
        device=device,
        precision=precision,
        threads=threads,
        versions={package: version(package) for package in (backend, "keras", "numpy")},
        sources=code_digest(source_files(modules)),
    )


def _cell(
    config: Config,
    group: str,
    name: str,
    arm: Arm,
    seed: int,
    runtime: Runtime,
    data_digest: str,
    bounds: Mapping[str, Any] | None,
) -> Cell:
    epochs, batch_size, _ = arm_length(config, arm)
    return Cell(
        group=group,
        arm=name,
        seed=seed,
        schedule=_schedule(arm, config.train.cycles, bounds),
        optimizer=plain(config.optimizer),
        model={"function": config.model.function, "arguments": plain(config.model.arguments)},
        classes=len(config.data.classes),
        epochs=epochs,
        batch_size=batch_size,
        training_set=str(plain(arm.training_set)),
        compile=config.train.compile.value,
        data=data_digest,
        runtime=runtime,
        uses_bounds=BOUNDS in (arm.base_lr, arm.max_lr),
        continues=arm.continues,
    )


def _schedule(arm: Arm, cycles: int, bounds: Mapping[str, Any] | None) -> dict[str, Any]:
    def value(key: str) -> Any:
        given = getattr(arm, key)
        if given != BOUNDS:
            return given
        assert bounds is not None, "the configuration was not checked"
        return bounds[key]

    name = str(plain(arm.schedule))
    takes = taken_by(name)
    found = {"name": name, "base_lr": value("base_lr")}
    if "max_lr" in takes:
        found["max_lr"] = value("max_lr")
    if "step_size" in takes and arm.step_size is None:
        found["cycles"] = arm.cycles or cycles
    elif "step_size" in takes:
        found["step_size"] = arm.step_size
    return found


def _device(setting: str, backend: str) -> str:
    # Asking the backend costs seconds of import; without a driver the answer is known.
    driver = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    if setting == "cpu" or (setting == "auto" and not driver):
        return "cpu"
    probe = f"from lrcycles.training.{backend}_engine import has_gpu; print(has_gpu())"
    if driver:
        source = str(Path(__file__).parents[1])
        code = f"import sys; sys.path.insert(0, {source!r}); {probe}"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if found.stdout.strip().endswith("True"):
            return "gpu"
    if setting == "auto":
        return "cpu"
    reason = f"{backend} sees none of its GPUs" if driver else "no NVIDIA driver was found"
    raise InputError(
        f"train.device=gpu, but {reason}: install the driver and `pip install lrcycles[gpu]`, "
        f"or use train.device=auto"
    )
