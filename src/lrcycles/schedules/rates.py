"""Computes the learning rate of a step, for every schedule.

Every schedule is a function of the step, without state. The step is a number, a NumPy array or a
tensor of Keras's backend, of whole numbers or floats; the rate is of the same kind. Whole steps
stay whole until the last division. So a rate at step ten million is as exact as one at step ten,
also in 32 bits.
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
    # True division turns whole steps into floats on every backend and keeps their shape.
    return base_lr + 0 * (step / 1)


def triangular(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """Rise from `base_lr` to `max_lr` in `step_size` steps, fall back in as many, repeat.

    `fall_size` is the number of steps of the fall, if it differs from `step_size`.
    Source: Smith 2017, sec. 3.1.

    >>> [triangular(s, base_lr=1.0, max_lr=3.0, step_size=2) for s in range(6)]
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height


def triangular2(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, but every cycle halves the amplitude.

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
    """As `triangular`, but every step multiplies the amplitude by `gamma`.

    `base_lr` stays, as in the Keras callback bckenstler/CLR and in PyTorch. The paper describes
    `exp_range_bounds`.

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
    """As `triangular`, but every step multiplies both bounds by `gamma`.

    Source: Smith 2017, sec. 3.1, where in exp_range "each boundary value" declines.

    >>> steps = np.arange(4)
    >>> exp_range_bounds(steps, base_lr=1, max_lr=3, step_size=1, gamma=0.5).round(9).tolist()
    [1.0, 1.5, 0.25, 0.375]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return (base_lr + (max_lr - base_lr) * height) * _power(gamma, step)


def welch(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, but along a parabola: the Welch window.

    Source: Smith 2017, sec. 3.1.

    >>> [welch(s, base_lr=0.0, max_lr=4.0, step_size=2) for s in range(5)]
    [0.0, 3.0, 4.0, 3.0, 0.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * height * (2 - height)


def hann(
    step: Steps, *, base_lr: float, max_lr: float, step_size: float, fall_size: float | None = None
) -> Rates:
    """As `triangular`, but along a sine: the Hann window.

    Source: Smith 2017, sec. 3.1.

    >>> hann(np.arange(5), base_lr=0, max_lr=4, step_size=2).round(9).tolist()
    [0.0, 2.0, 4.0, 2.0, 0.0]
    """
    height, _ = _cycle(step, step_size, fall_size)
    return base_lr + (max_lr - base_lr) * _half_sine(height)


def linear_decay(step: Steps, *, max_lr: float, total_steps: int, base_lr: float = 0.0) -> Rates:
    """Fall by equal amounts from `max_lr` at step 0 to `base_lr` at `total_steps`, then stay.

    >>> linear_decay(np.arange(6), max_lr=4.0, total_steps=4).tolist()
    [4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    """
    left = total_steps - maths_of(step).minimum(step, total_steps)
    return base_lr + (max_lr - base_lr) * (left / total_steps)


def cosine(step: Steps, *, max_lr: float, total_steps: int, base_lr: float = 0.0) -> Rates:
    """Fall along half a cosine from `max_lr` at step 0 to `base_lr` at `total_steps`, then stay.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), eq. 5, without restarts.

    >>> cosine(np.arange(4), max_lr=4.0, total_steps=2).round(9).tolist()
    [4.0, 2.0, 0.0, 0.0]
    """
    left = total_steps - maths_of(step).minimum(step, total_steps)
    return base_lr + (max_lr - base_lr) * _half_sine(left / total_steps)


def sgdr(
    step: Steps,
    *,
    max_lr: float,
    first_cycle_steps: int,
    cycle_factor: int = 1,
    base_lr: float = 0.0,
) -> Rates:
    """Fall as `cosine`, restart at `max_lr`. Each cycle is `cycle_factor` times as long.

    In the paper `first_cycle_steps` is T_0, `cycle_factor` is T_mult and `base_lr` is eta_min.
    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), sec. 3.

    >>> sgdr(np.arange(8), max_lr=4.0, first_cycle_steps=2, cycle_factor=2).round(2).tolist()
    [4.0, 2.0, 4.0, 3.41, 2.0, 0.59, 4.0, 3.85]
    """
    if cycle_factor == 1:
        left = first_cycle_steps - step % first_cycle_steps
        return base_lr + (max_lr - base_lr) * _half_sine(left / first_cycle_steps)
    # A table of restarts. The closed form, floor(log(step)), is a cycle off at some restarts.
    starts, lengths = [0], [first_cycle_steps]
    while starts[-1] + lengths[-1] < 2**31:  # the largest step in 32 bits
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * cycle_factor)
    maths = maths_of(step)
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
    """Rise to `max_lr`, fall to `base_lr`, fall on to `final_lr`, far below `base_lr`, then stay.

    With annihilation_steps=0 the first fall ends at `final_lr`, as in fast.ai's two phases.
    PyTorch's OneCycleLR(total_steps=T, pct_start=p) has rise_steps = p * T - 1 and
    fall_steps = T - 1 - rise_steps. With three_phase=True it has fall_steps = rise_steps and
    annihilation_steps = T - 1 - 2 * rise_steps.
    Source: Smith 2018 (arXiv 1803.09820), sec. 4.3; Smith & Topin 2018 (arXiv 1708.07120), sec. 3.

    >>> phases = {"rise_steps": 2, "fall_steps": 2, "annihilation_steps": 4}
    >>> one_cycle(np.arange(10), base_lr=4, max_lr=8, final_lr=0, **phases).tolist()
    [4.0, 6.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    """
    ends = [rise_steps, rise_steps + fall_steps, rise_steps + fall_steps + annihilation_steps]
    at = step / 1  # a phase may end between two steps

    def level(share: Rates) -> Rates:
        within = maths_of(share).clip(share, 0.0, 1.0)
        return _half_sine(within) if shape == "cosine" else within

    up, down = level(at / rise_steps), level((ends[1] - at) / fall_steps)  # one of the two is 1
    low = final_lr
    if annihilation_steps:
        left = level((ends[2] - at) / annihilation_steps)
        low = base_lr * left + final_lr * (1 - left)
    # Weights that sum to 1 are exact in 32 bits for a final_lr far below max_lr; differences not.
    return max_lr * up * down + base_lr * (1 - up) + low * (1 - down)


def step_decay(step: Steps, *, base_lr: float, factor: float, every_steps: int) -> Rates:
    """Multiply the rate by `factor` once every `every_steps` steps: Caffe's "step".

    >>> [step_decay(s, base_lr=4.0, factor=0.5, every_steps=2) for s in range(5)]
    [4.0, 4.0, 2.0, 2.0, 1.0]
    """
    return base_lr * factor ** ((step - step % every_steps) / every_steps)


def inverse_time(step: Steps, *, base_lr: float, gamma: float, power: float = 1.0) -> Rates:
    """Multiply `base_lr` by (1 + gamma * step) ** -power: Caffe's "inv".

    Source: Smith 2018, table 2 (gamma=1e-4, power=0.75).

    >>> [inverse_time(s, base_lr=6.0, gamma=0.5) for s in (0, 2, 4)]
    [6.0, 3.0, 2.0]
    """
    return base_lr * (1 + gamma * (step / 1)) ** -power


def default_gamma(total_steps: int) -> float:
    """Return the `gamma` of exp_range that leaves a tenth of the amplitude after `total_steps`.

    Source: Smith 2017, table 1, where 0.99994 leaves 0.08 after 42,000 steps.

    >>> round(default_gamma(2) ** 2, 9)
    0.1
    """
    return float(0.1 ** (1 / total_steps))


def _cycle(step: Steps, step_size: float, fall_size: float | None) -> tuple[Any, Any]:
    """Return the height within a cycle, from 0 to 1, and the number of cycles before it."""
    rise, fall = _whole(step_size), _whole(step_size if fall_size is None else fall_size)
    if not isinstance(rise + fall, int):
        step = step / 1  # a tensor of whole numbers has no remainder by a fraction
    position = step % (rise + fall)
    cycle = (step - position) / (rise + fall)
    if fall_size is None:
        return (rise - abs(position - rise)) / rise, cycle
    return maths_of(step).minimum(position / rise, (rise + fall - position) / fall), cycle


def _whole(size: float) -> float:
    """Return 2000 for 2000.0, so that whole steps can be divided by it without rounding."""
    return int(size) if float(size).is_integer() else size


def _power(gamma: float, step: Steps) -> Rates:
    # In 32 bits the rounding error of gamma would grow with the step in gamma**step.
    return maths_of(step).exp((step / 1) * math.log(gamma))


def _half_sine(share: Rates) -> Rates:
    """Rise from 0 to 1 along half a cosine. Close to 0, sin**2 is more exact than 1 - cos."""
    return maths_of(share).sin(share * (math.pi / 2)) ** 2


def maths_of(value: Any) -> Any:
    """Return NumPy for numbers and arrays, keras.ops for tensors."""
    if isinstance(value, Number | np.ndarray):
        return np
    import keras

    return keras.ops
