"""What is the largest rate that still converges, the max_lr of Smith's rule of thumb?"""

from __future__ import annotations

import numpy as np

from lrcycles.bounds.peers import Suggestion, checked_curve
from lrcycles.range_tests.curves import Array
from lrcycles.range_tests.noise import lost_from, noise, running_median

SHORTEST = 20  # points: with fewer, fall and noise cannot be told apart


def thirds(lr: Array, loss: Array) -> Suggestion:
    """Give the largest rate that still converges; a third of it is base_lr.

    The rule: the best rate is within a factor of two of the largest one that converges; so cycle
    from a third or a fourth of that one up to it, and the best one lies inside. The paper does not
    say when a rate converges. Here: the loss (centred median over a twentieth of the sweep) stays
    within a tenth of its fall, or three times its noise, of its least. The first rate after the
    least at which it does not is too large, and so is one at which it is not finite.

    Source: Smith 2017, sec. 3.3.

    Args:
        loss: raw, of each step's mini-batch; a smoothed one lags behind its rates.

    Raises:
        InputError: the rates do not rise, or are not as many as the losses.
    """
    lr, loss = checked_curve(lr, loss)
    if len(lr) < SHORTEST:
        return _none(f"{len(lr)} points do not tell fall from noise, {SHORTEST} are needed")
    whole = np.where(np.isfinite(loss), loss, np.inf)
    half = max(1, len(lr) // 40)
    middle = running_median(whole, half)
    if not np.isfinite(middle[0]):
        return _none("the loss is not finite at the first rates: sweep from smaller ones")
    spread = noise(whole[np.isfinite(whole)])
    bottom = int(np.argmin(middle))
    fall = float(middle[0] - middle[bottom])
    if fall <= 3 * spread:
        return _none(f"the loss never falls beyond its noise (sd {spread:.2g})")
    risen = np.flatnonzero(middle[bottom:] > middle[bottom] + max(fall / 10, 3 * spread))
    if not len(risen) and (lost := lost_from(loss)) < len(loss):  # too late for a median to tell
        return Suggestion("thirds", float(lr[lost - 1]), "largest rate before the loss was lost")
    if not len(risen):
        return _none(f"the loss still converges at the last rate, {lr[-1]:.3g}: sweep further up")
    last = half + bottom + int(risen[0]) - 1
    return Suggestion("thirds", float(lr[last]), "largest rate that still converges")


def _none(why: str) -> Suggestion:
    return Suggestion("thirds", None, why)
