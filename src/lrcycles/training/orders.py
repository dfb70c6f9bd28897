"""In which order does an epoch show the images?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW_BYTES = 32 << 20  # shuffled, read and laid on the device at a time
BLOCK_BYTES = 256 << 10  # neighbours in the file that stay in one window: read in one go


@dataclass(frozen=True)
class Windows:
    """How an epoch of data that does not fit in memory is cut.

    Args:
        steps: of one window.
        block: images that lie side by side in the file.
    """

    steps: int
    block: int

    @classmethod
    def of(cls, *, batch_size: int, image_bytes: int) -> Windows:
        """Cut by size alone, so that the order depends on nothing else."""
        steps = max(1, WINDOW_BYTES // (batch_size * image_bytes))
        return cls(steps=steps, block=max(1, BLOCK_BYTES // image_bytes))


def epoch_order(
    seed: int, epoch: int, images: int, batch_size: int, windows: Windows | None = None
) -> np.ndarray:
    """The images' order in one epoch, int32 (steps, batch_size); equal for all arms of a seed.

    The last short batch is dropped. With `windows`, blocks are drawn from the whole file, then
    images from the blocks of one window: a shuffle that reads the file in long stretches.
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
