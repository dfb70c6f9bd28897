"""Which learning rate belongs to a step?

Every schedule is a function of the step, without state. A step is a number, a NumPy array or a
tensor of the backend that Keras runs on, of whole numbers or floats; the rate is of the same kind.
Whole steps stay whole until the last division, so that a rate is as exact at step ten million as
at step ten, in 32 bits too.
"""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, Literal

import numpy as np

Steps = Any
Rates = Any
Shape = Literal["linear", "cosine"]


def constant(step: Steps, *, base_lr: float) -> Rates:
    """Stay at `base_lr`.

    >>> constant(7, base_lr=0.5)
    0.5
    """
    # True division turns integer steps into floats on every backend, and keeps their shape.
    return base_lr + 0 * (step / 1)


def triangular(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """Rise from `base_lr` to `max_lr` in `step_size` steps, fall back in as many, repeat.

    `fall_size` gives the fall a length of its own; without it this is arithmetic only.
    Source: Smith 2017, sec. 3.1.

    >>> [triangular(s, base_lr=1.0, max_lr=3.0, step_size=2) for s in range(6)]
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height


def triangular2(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, with half the amplitude after every cycle.

    Source: Smith 2017, sec. 3.1.

    >>> [triangular2(s, base_lr=1.0, max_lr=3.0, step_size=1) for s in range(6)]
    [1.0, 3.0, 1.0, 2.0, 1.0, 1.5]
    """
    height, cycle = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height * 0.5**cycle


def exp_range(
    step: Steps,
    *,
    base_lr: float,
    max_lr: float,
    step_size: float,
    gamma: float,
    fall_size: float | None = None,
) -> Rates:
    """As `triangular`, with an amplitude that shrinks by the factor `gamma` every step.

    `base_lr` stays: the reading of the well-known Keras callback and of PyTorch. The paper's own
    is `exp_range_bounds`.

    >>> exp_range(np.arange(4), base_lr=1, max_lr=3, step_size=1, gamma=0.5).round(9).tolist()
    [1.0, 2.0, 1.0, 1.25]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height * _power(gamma, step)


def exp_range_bounds(
    step: Steps,
    *,
    base_lr: float,
    max_lr: float,
    step_size: float,
    gamma: float,
    fall_size: float | None = None,
) -> Rates:
    """As `triangular`, with both bounds shrinking by the factor `gamma` every step.

    Source: Smith 2017, sec. 3.1, where exp_range lets "each boundary value" decline.

    >>> steps = np.arange(4)
    >>> exp_range_bounds(steps, base_lr=1, max_lr=3, step_size=1, gamma=0.5).round(9).tolist()
    [1.0, 1.5, 0.25, 0.375]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return (base_lr + (max_lr - base_lr) * height) * _power(gamma, step)


def welch(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, along a parabola: the Welch window.

    Source: Smith 2017, sec. 3.1.

    >>> [welch(s, base_lr=0.0, max_lr=4.0, step_size=2) for s in range(5)]
    [0.0, 3.0, 4.0, 3.0, 0.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height * (2 - height)


def hann(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, along a sine: the Hann window.

    Source: Smith 2017, sec. 3.1.

    >>> hann(np.arange(5), base_lr=0, max_lr=4, step_size=2).round(9).tolist()
    [0.0, 2.0, 4.0, 2.0, 0.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * _half_sine(height)


def linear_decay(step: Steps, *, max_lr: float, total_steps: int, base_lr: float = 0.0) -> Rates:
    """Fall by equal amounts from `max_lr` at step 0 to `base_lr` at `total_steps`, stay there.

    >>> linear_decay(np.arange(6), max_lr=4.0, total_steps=4).tolist()
    [4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    """
    left = total_steps - _maths(step).minimum(step, total_steps)
    return base_lr + (max_lr - base_lr) * (left / total_steps)


def cosine(step: Steps, *, max_lr: float, total_steps: int, base_lr: float = 0.0) -> Rates:
    """Fall along half a cosine from `max_lr` at step 0 to `base_lr` at `total_steps`, stay there.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), eq. 5, without restarts.

    >>> cosine(np.arange(4), max_lr=4.0, total_steps=2).round(9).tolist()
    [4.0, 2.0, 0.0, 0.0]
    """
    left = total_steps - _maths(step).minimum(step, total_steps)
    return base_lr + (max_lr - base_lr) * _half_sine(left / total_steps)


def sgdr(
    step: Steps,
    *,
    max_lr: float,
    first_cycle_steps: int,
    cycle_factor: int = 1,
    base_lr: float = 0.0,
) -> Rates:
    """Fall as `cosine`, restart at `max_lr`; every cycle is `cycle_factor` times as long.

    The paper's T_0 is `first_cycle_steps`, its T_mult `cycle_factor`, its eta_min `base_lr`.
    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), sec. 3.

    >>> sgdr(np.arange(8), max_lr=4.0, first_cycle_steps=2, cycle_factor=2).round(2).tolist()
    [4.0, 2.0, 4.0, 3.41, 2.0, 0.59, 4.0, 3.85]
    """
    if cycle_factor == 1:
        left = first_cycle_steps - step % first_cycle_steps
        return base_lr + (max_lr - base_lr) * _half_sine(left / first_cycle_steps)
    # A table of restarts: the closed form, floor(log(step)), lands a cycle off at some of them.
    starts, lengths = [0], [first_cycle_steps]
    while starts[-1] + lengths[-1] < 2**31:  # what a step of 32 bits can count
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * cycle_factor)
    maths = _maths(step)
    begun = maths.greater_equal(maths.expand_dims(step, -1), np.array(starts))
    cycle = maths.sum(begun, axis=-1) - 1
    done = maths.subtract(step, maths.take(np.array(starts), cycle))
    length = maths.take(np.array(lengths, np.float64), cycle)
    return base_lr + (max_lr - base_lr) * _half_sine(
        maths.divide(maths.subtract(length, done), length)
    )


def one_cycle(
    step: Steps,
    *,
    base_lr: float,
    max_lr: float,
    final_lr: float,
    rise_steps: float,
    fall_steps: float,
    annihilation_steps: float = 0,
    shape: Shape = "linear",
) -> Rates:
    """Rise to `max_lr`, fall to `base_lr`, then anneal to `final_lr`, far below it, and stay there.

    With `annihilation_steps` 0 the fall itself ends at `final_lr`, as in fast.ai's two phases.
    PyTorch's OneCycleLR(total_steps=T, pct_start=p) is rise_steps = p * T - 1 and
    fall_steps = T - 1 - rise_steps, or with three_phase fall_steps = rise_steps and
    annihilation_steps = T - 1 - 2 * rise_steps.
    Source: Smith 2018 (arXiv 1803.09820), sec. 4.3; Smith & Topin 2018 (arXiv 1708.07120), sec. 3.

    >>> phases = {"rise_steps": 2, "fall_steps": 2, "annihilation_steps": 4}
    >>> one_cycle(np.arange(10), base_lr=4, max_lr=8, final_lr=0, **phases).tolist()
    [4.0, 6.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    """
    ends = [rise_steps, rise_steps + fall_steps, rise_steps + fall_steps + annihilation_steps]
    at = step / 1  # a phase may end between two steps

    def level(share: Rates) -> Rates:
        within = _maths(share).clip(share, 0.0, 1.0)
        return _half_sine(within) if shape == "cosine" else within

    up, down = level(at / rise_steps), level((ends[1] - at) / fall_steps)  # one of them is 1
    low = final_lr
    if annihilation_steps:
        left = level((ends[2] - at) / annihilation_steps)
        low = base_lr * left + final_lr * (1 - left)
    # Weights that sum to 1, not differences: exact for a final_lr far below max_lr in 32 bits.
    return max_lr * up * down + base_lr * (1 - up) + low * (1 - down)


def step_decay(step: Steps, *, base_lr: float, factor: float, every_steps: int) -> Rates:
    """Multiply `base_lr` by `factor` once every `every_steps` steps: Caffe's "step".

    >>> [step_decay(s, base_lr=4.0, factor=0.5, every_steps=2) for s in range(5)]
    [4.0, 4.0, 2.0, 2.0, 1.0]
    """
    return base_lr * factor ** ((step - step % every_steps) / every_steps)


def inverse_time(step: Steps, *, base_lr: float, gamma: float, power: float = 1.0) -> Rates:
    """Let `base_lr` fall as (1 + gamma * step) ** -power: Caffe's "inv".

    Source: Smith 2018, table 2 (gamma=1e-4, power=0.75).

    >>> [inverse_time(s, base_lr=6.0, gamma=0.5) for s in (0, 2, 4)]
    [6.0, 3.0, 2.0]
    """
    return base_lr * (1 + gamma * (step / 1)) ** -power


def linear_ramp(step: Steps, *, min_lr: float, max_lr: float, steps: int) -> Rates:
    """Rise by equal amounts from `min_lr` at step 0 to `max_lr` at step `steps` - 1.

    Source: Smith 2017, sec. 3.3.

    >>> [linear_ramp(s, min_lr=1.0, max_lr=3.0, steps=5) for s in range(5)]
    [1.0, 1.5, 2.0, 2.5, 3.0]
    """
    return min_lr + (max_lr - min_lr) * (step / (steps - 1))


def exponential_ramp(step: Steps, *, min_lr: float, max_lr: float, steps: int) -> Rates:
    """Rise by equal factors from `min_lr` at step 0 to `max_lr` at step `steps` - 1.

    >>> [exponential_ramp(s, min_lr=1.0, max_lr=16.0, steps=5) for s in range(5)]
    [1.0, 2.0, 4.0, 8.0, 16.0]
    """
    return min_lr * (max_lr / min_lr) ** (step / (steps - 1))


def _cycle(step: Steps, step_size: float, fall_size: float | None) -> tuple[Any, Any]:
    """The height within a cycle, 0 at a trough and 1 at the peak, and how many went before."""
    rise, fall = _whole(step_size), _whole(step_size if fall_size is None else fall_size)
    if not isinstance(rise + fall, int):
        step = step / 1  # a tensor of whole numbers takes no remainder of a fraction
    position = step % (rise + fall)
    cycle = (step - position) / (rise + fall)
    if fall_size is None:
        return (rise - abs(position - rise)) / rise, cycle
    return _maths(step).minimum(position / rise, (rise + fall - position) / fall), cycle


def _whole(size: float) -> float:
    """2000 for 2000.0: what a tensor of whole numbers can be divided by without rounding."""
    return int(size) if float(size).is_integer() else size


def _power(gamma: float, step: Steps) -> Rates:
    # Not gamma**step: in 32 bits the rounding of gamma itself grows with the step.
    return _maths(step).exp((step / 1) * math.log(gamma))


def _half_sine(share: Rates) -> Rates:
    """From 0 to 1 as half a cosine does; a square, since 1 - cos loses what lies close to 0."""
    return _maths(share).sin(share * (math.pi / 2)) ** 2


def _maths(value: Any) -> Any:
    """NumPy for numbers and arrays, Keras's own functions for tensors of its backend."""
    if isinstance(value, Number | np.ndarray):
        return np
    import keras

    return keras.ops
