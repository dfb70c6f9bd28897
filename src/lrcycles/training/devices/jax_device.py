"""Sets up a device for JAX, and lays images on it."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import numpy as np

from lrcycles.training.compilation import (
    XLA_CPU_FLAGS,
    XLA_GPU_FLAGS,
    add_xla_flags,
    cpu_name,
)

_PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32"}  # JAX's names


def prepare_device(device: str, threads: int, precision: str) -> None:
    """Set up the device; call it once per process, before any other use of JAX.

    Raises:
        RuntimeError: `device` is gpu and JAX sees no GPU.
    """
    os.environ["NPROC"] = str(threads)  # the number of threads that JAX's CPU client starts
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # By default JAX multiplies float32 in TF32 where the GPU can.
    jax.config.update("jax_default_matmul_precision", _PRODUCTS.get(precision))
    if device == "cpu":
        add_xla_flags(XLA_CPU_FLAGS)
        jax.config.update("jax_platforms", "cpu")
        return
    add_xla_flags(XLA_GPU_FLAGS)
    if not has_gpu():
        raise RuntimeError("JAX sees no GPU")


def has_gpu() -> bool:
    """Return whether JAX sees a GPU."""
    return any(device.platform == "gpu" for device in jax.devices())


def device_name(device: str) -> str:
    """Get the model name of the device, for tables of times."""
    return str(jax.devices()[0].device_kind) if device == "gpu" else cpu_name()


def put(pixels: np.ndarray, labels: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Lay images on the device."""
    return jnp.asarray(pixels), jnp.asarray(labels)
