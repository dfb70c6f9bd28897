"""Which way of compiling is fastest here? A fixed table, since timing would change bits."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Runtime

XLA_DENSE_BATCH = 1000  # measured on two CPU cores: below it XLA wins on dense layers, above it not

# One operation after another, each on all threads: measured 7 % faster than side by side.
XLA_CPU_FLAGS = "--xla_cpu_enable_concurrency_optimized_scheduler=false"

DENSE_KINDS = {"InputLayer", "Reshape", "Flatten", "Dense", "Dropout", "Activation", "ReLU"}


def use_xla(setting: str, *, model: Any, batch_size: int, runtime: Runtime) -> bool:
    """Resolve `train.compile`: xla, graph, or auto by backend, device, layer types and batch size.

    On a CPU a whole epoch of convolutions under XLA took 40 times the graph's time.
    """
    if runtime.backend == "jax":
        return True  # it has no other way
    if setting != "auto":
        return setting == "xla"
    if runtime.device == "gpu":
        return True
    dense_only = {type(layer).__name__ for layer in model.layers} <= DENSE_KINDS
    return dense_only and batch_size < XLA_DENSE_BATCH


def add_xla_flags(flags: str) -> None:
    """Set flags of XLA for this process, before it compiles anything; the user's own win."""
    os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()


def cpu_name() -> str:
    """The processor's model name where the system tells, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} logical cores)" if names else platform.machine()
