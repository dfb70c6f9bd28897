"""What is the largest rate that still converges, the max_lr of Smith's rule of thumb?"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrcycles.curves import Array
from lrcycles.peer_rules import Suggestion, checked_curve

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
    # Whole windows only: with edge values repeated, the lone last loss would weigh half a window.
    middle = np.median(sliding_window_view(whole, 2 * half + 1), axis=1)
    if not np.isfinite(middle[0]):
        return _none("the loss is not finite at the first rates: sweep from smaller ones")
    noise = _noise(whole[np.isfinite(whole)])
    bottom = int(np.argmin(middle))
    fall = float(middle[0] - middle[bottom])
    if fall <= 3 * noise:
        return _none(f"the loss never falls beyond its noise (sd {noise:.2g})")
    risen = np.flatnonzero(middle[bottom:] > middle[bottom] + max(fall / 10, 3 * noise))
    if not len(risen):
        return _none(f"the loss still converges at the last rate, {lr[-1]:.3g}: sweep further up")
    last = half + bottom + int(risen[0]) - 1
    return Suggestion("thirds", float(lr[last]), "largest rate that still converges")


def _noise(loss: Array) -> float:
    """One point's sd, from the distances of the points from the middle of their neighbours."""
    if len(loss) < 3:
        return 0.0
    distance = np.abs(loss[1:-1] - (loss[:-2] + loss[2:]) / 2)
    return 1.4826 * float(np.median(distance)) / float(np.sqrt(1.5))


def _none(why: str) -> Suggestion:
    return Suggestion("thirds", None, why)
