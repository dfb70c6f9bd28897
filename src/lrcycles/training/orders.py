"""Draws the order of the images in an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW_BYTES = 32 << 20  # of pixels that are shuffled, read and laid on the device together
BLOCK_BYTES = 256 << 10  # of neighbours in the file that stay in one window and are read together


@dataclass(frozen=True)
class Windows:
    """How an epoch is cut into windows, for data that does not fit in memory.

    Args:
        steps: the number of steps of a window.
        block: the number of neighbouring images that stay together.
    """

    steps: int
    block: int

    @classmethod
    def of(cls, *, batch_size: int, image_bytes: int) -> Windows:
        """Cut by sizes alone, so that the order depends on nothing else."""
        steps = max(1, WINDOW_BYTES // (batch_size * image_bytes))
        return cls(steps=steps, block=max(1, BLOCK_BYTES // image_bytes))


def epoch_order(
    seed: int, epoch: int, images: int, batch_size: int, windows: Windows | None = None
) -> np.ndarray:
    """Draw the images' order in one epoch, int32 (steps, batch_size); equal for all arms of a seed.

    The last short batch is dropped. With `windows`, the blocks of the whole file are shuffled, then
    the images inside each window. This shuffle reads the file in long stretches.

    Args:
        images: the number of images.
    """
    steps = images // batch_size
    random = np.random.default_rng([seed, epoch])
    if windows is None:
        order = random.permutation(images).astype(np.int32)
        return order[: steps * batch_size].reshape(steps, batch_size)
    starts = random.permutation(np.arange(0, images, windows.block, dtype=np.int32))
    order = (starts[:, None] + np.arange(windows.block, dtype=np.int32)).ravel()
    order = order[order < images][: steps * batch_size]  # the last block may be short
    for begin in range(0, len(order), windows.steps * batch_size):
        random.shuffle(order[begin : begin + windows.steps * batch_size])
    return order.reshape(steps, batch_size)
