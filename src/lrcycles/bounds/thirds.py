"""The rule `thirds`: the largest rate that still converges, and a third of it as base_lr."""

from __future__ import annotations

import numpy as np

from lrcycles.bounds.peers import Suggestion, checked_curve
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.noise import explosion_index, noise, running_median

SHORTEST = 20  # points; with fewer, noise looks like a fall


def thirds(lr: Array, loss: Array) -> Suggestion:
    """Return the largest rate that still converges, which is max_lr; base_lr is a third of it.

    Smith's rule of thumb: the best rate is usually within a factor of two of the largest one that
    converges. So cycle from a third or a fourth of the largest converging rate up to that rate.
    The paper does not define convergence. Here:

    1. Smooth the losses with a running median over a twentieth of the sweep.
    2. A rate after the lowest smoothed loss still converges if the loss stays within a tenth of its
       fall, or within three times its noise, of the lowest. A loss that is not finite does not.
    3. The answer is the last rate before the first one that does not converge.
    4. If the smoothed loss never rises so far, but single losses explode at the end of the sweep
       (`noise.explosion_index`), the answer is the last rate before the explosion.

    Source: Smith 2017, sec. 3.3.

    Args:
        loss: the raw loss of each step's mini-batch; a smoothed loss lags behind the rates.

    Raises:
        InputError: the rates do not rise, or there is not one loss per rate.
    """
    lr, loss = checked_curve(lr, loss)
    if len(lr) < SHORTEST:
        return _none(f"{len(lr)} points are too few, at least {SHORTEST} are needed")
    finite_or_inf = np.where(np.isfinite(loss), loss, np.inf)
    half = max(1, len(lr) // 40)
    smooth = running_median(finite_or_inf, half)
    if not np.isfinite(smooth[0]):
        return _none("the loss is not finite at the first rates: sweep from smaller ones")
    spread = noise(finite_or_inf[np.isfinite(finite_or_inf)])
    lowest = int(np.argmin(smooth))
    fall = float(smooth[0] - smooth[lowest])
    if fall <= 3 * spread:
        return _none(f"the loss never falls beyond its noise ({spread:.2g})")
    risen = np.flatnonzero(smooth[lowest:] > smooth[lowest] + max(fall / 10, 3 * spread))
    # A sweep that stops early has too few exploded losses to raise the running median.
    if not len(risen) and (exploded := explosion_index(loss)) < len(loss):
        return Suggestion(
            "thirds", float(lr[exploded - 1]), "largest rate before the loss explodes"
        )
    if not len(risen):
        return _none(f"the loss still converges at the last rate, {lr[-1]:.3g}: sweep further up")
    last = half + lowest + int(risen[0]) - 1
    return Suggestion("thirds", float(lr[last]), "largest rate that still converges")


def _none(reason: str) -> Suggestion:
    return Suggestion("thirds", None, reason)
