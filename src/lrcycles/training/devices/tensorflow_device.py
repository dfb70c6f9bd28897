"""Sets up a device for TensorFlow, and lays images on it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lrcycles.training.compilation import XLA_CPU_FLAGS, add_xla_flags, cpu_name


def prepare_device(device: str, threads: int, precision: str) -> None:
    """Set up the device; call it once per process, before any other use of TensorFlow.

    Raises:
        RuntimeError: `device` is gpu and TensorFlow sees no GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        add_xla_flags(XLA_CPU_FLAGS)
    elif not gpus:
        raise RuntimeError("TensorFlow sees no GPU")
    else:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    # A second operation fills the gaps of the first: 4 % of a step of the MLP at batch 2000.
    side_by_side = 2 if device == "cpu" and threads > 1 else 1
    tf.config.threading.set_inter_op_parallelism_threads(side_by_side)


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def device_name(device: str) -> str:
    """Get the model name of the device, for tables of times."""
    if device == "gpu":
        gpu = tf.config.list_physical_devices("GPU")[0]
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return cpu_name()


def put(pixels: np.ndarray, labels: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Lay images on the device."""
    return tf.constant(pixels), tf.constant(labels)
