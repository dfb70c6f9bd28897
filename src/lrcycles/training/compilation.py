"""Chooses how to compile, from a fixed table: a choice by timing would change bits."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Runtime

XLA_DENSE_BATCH = 1000  # on two CPU cores, XLA is faster for dense layers below this batch size

# One operation at a time, each on all threads, was 7 % faster than operations side by side.
XLA_CPU_FLAGS = "--xla_cpu_enable_concurrency_optimized_scheduler=false"

DENSE_KINDS = {"InputLayer", "Reshape", "Flatten", "Dense", "Dropout", "Activation", "ReLU"}


def use_xla(setting: str, *, model: Any, batch_size: int, runtime: Runtime) -> bool:
    """Resolve `train.compile`: xla, graph, or auto by backend, device, layer types and batch size.

    On a CPU, a whole epoch of convolutions took 40 times longer with XLA than with the graph.
    """
    if runtime.backend == "jax":
        return True  # JAX always compiles with XLA
    if setting != "auto":
        return setting == "xla"
    if runtime.device == "gpu":
        return True
    dense_only = {type(layer).__name__ for layer in model.layers} <= DENSE_KINDS
    return dense_only and batch_size < XLA_DENSE_BATCH


def add_xla_flags(flags: str) -> None:
    """Set flags of XLA for this process, before it compiles anything.

    A flag that the user has set in XLA_FLAGS stays.
    """
    os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()


def cpu_name() -> str:
    """Get the processor's model name, or its architecture if the system does not name it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} logical cores)" if names else platform.machine()
