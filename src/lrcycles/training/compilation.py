"""Chooses how to compile, from a fixed table: a choice by timing would change bits."""

from __future__ import annotations

import inspect
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrcycles.cells.cell import Runtime

XLA_DENSE_BATCH = 1000  # on two CPU cores, XLA is faster for dense layers below this batch size

# One operation at a time, each on all threads, was 7 % faster than operations side by side.
XLA_CPU_FLAGS = "--xla_cpu_enable_concurrency_optimized_scheduler=false"

# Equal bits in every run. XLA's own matrix kernels, in their untuned versions, were up to 10 %
# slower than the first of cuBLAS.
XLA_GPU_FLAGS = "--xla_gpu_deterministic_ops=true --xla_gpu_enable_triton_gemm=false"

DENSE_KINDS = {"InputLayer", "Reshape", "Flatten", "Dense", "Dropout", "Activation", "ReLU"}


def use_xla(
    setting: str, *, model: Any, batch_size: int, runtime: Runtime, one_kernel: bool = False
) -> bool:
    """Resolve `train.compile`: xla, graph, or auto by what was faster.

    On a CPU, a whole epoch of convolutions took 40 times longer with XLA than with the graph. For
    dense layers on one thread, the graph takes 5 % less time if its optimizer has one kernel, and
    nothing to compile. On two threads XLA takes 20 % less than the graph.

    Args:
        one_kernel: a graph makes the optimizer's update of a variable with one kernel.
    """
    if runtime.backend == "jax":
        return True  # JAX always compiles with XLA
    if setting != "auto":
        return setting == "xla"
    if runtime.device == "gpu":
        return True
    if one_kernel and runtime.threads == 1:
        return False
    dense_only = {type(layer).__name__ for layer in model.layers} <= DENSE_KINDS
    return dense_only and batch_size < XLA_DENSE_BATCH


# Assumed speeds, of slow machines: a piece of an epoch must end within two seconds, because a
# training cannot be interrupted in a piece.
PIECE_SECONDS = 2.0
OPERATIONS_PER_SECOND = {"cpu": 6e10, "gpu": 1e13}
SLOWER_CONVOLUTIONS = 3  # per operation, than dense layers
STEP_SECONDS = {"cpu": 1e-3, "gpu": 1e-4}  # of a step that computes nothing


def piece_steps(operations: float, *, device: str) -> int:
    """Return how many steps of so many operations a compiled call may make."""
    seconds = STEP_SECONDS[device] + operations / OPERATIONS_PER_SECOND[device]
    return max(1, int(PIECE_SECONDS / seconds))


# Steps that a loop on a GPU makes in one turn, if they are short: then a turn's own cost counts.
# A longer turn takes longer to compile.
TURN_STEPS = 4
SHORT_STEP_OPERATIONS = 1e10


def turn_steps(operations: float, *, device: str) -> int:
    """Return how many steps one turn of the compiled loop makes."""
    return TURN_STEPS if device == "gpu" and operations < SHORT_STEP_OPERATIONS else 1


def step_operations(
    model: Any, *, input_shape: Sequence[int], batch_size: int, cells: int
) -> float:
    """Estimate the operations of a step, by the size of the network and the batch.

    Every weight of a layer is used once at each position of its input or output, forwards and
    twice backwards.
    """
    uses = 0
    for layer in model.layers:
        positions = _positions(layer, input_shape)
        weights = sum(math.prod(weight.shape) for weight in layer.trainable_variables)
        uses += weights * positions * (SLOWER_CONVOLUTIONS if positions > 1 else 1)
    return 6.0 * uses * batch_size * cells


def _positions(layer: Any, input_shape: Sequence[int]) -> int:
    """Count the positions that share the layer's weights, such as the pixels of a convolution."""
    try:
        shapes = [layer.input.shape, layer.output.shape]
    except (AttributeError, ValueError):  # a layer of a class of the user's, or with two inputs
        return math.prod(input_shape[:2])
    return max(int(math.prod(size or 1 for size in shape[1:-1])) for shape in shapes)


def even_steps(length: int, most: int) -> int:
    """Choose the steps of a piece, at most `most`, so that few sizes of pieces occur.

    JAX compiles each size. The best choice divides the length; the next best leaves a long rest.

    >>> even_steps(300, 53), even_steps(275, 53), even_steps(40, 53)
    (50, 46, 40)
    """
    sizes = range(min(most, length), most // 2, -1)
    return max(sizes or [min(most, length)], key=lambda size: (length % size == 0, length % size))


def mode(model: Any, *, training: bool) -> dict[str, bool]:
    """Pass `training` only to a `call` that takes it: a user's own may not."""
    takes = inspect.signature(model.call).parameters
    return {"training": training} if "training" in takes else {}


def dtype_policy(precision: str) -> str:
    """Return Keras's policy for `train.precision`; tf32 is how a GPU multiplies, and no policy."""
    return "float32" if precision == "tf32" else precision


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
