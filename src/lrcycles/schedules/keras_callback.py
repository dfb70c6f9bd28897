# Keras ships no types, so that its classes are Any.
# mypy: disallow-subclassing-any=False

"""How do the lines of the tutorial, written for the CLR callback of 2017, run on Keras 3?

A callback changes the rate from outside, batch by batch: it costs time in each, cannot work with
steps_per_execution, and forgets its place when a model is saved. `keras_schedules` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import keras

from lrcycles.errors import InputError
from lrcycles.schedules import rates
from lrcycles.schedules.keras_base import warn_of_cycles
from lrcycles.schedules.limits import check_cycles, check_settings, need_positive

Mode = Literal["triangular", "triangular2", "exp_range"]
ScaleMode = Literal["cycle", "iterations"]
MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(keras.callbacks.Callback):
    """Set the learning rate of every batch, with the arguments and the history of bckenstler/CLR.

    Args:
        step_size: half a cycle in batches.
        mode: ignored if `scale_fn` is given.
        gamma: of exp_range, the factor by which the amplitude shrinks every batch.
        scale_fn: what the amplitude is multiplied by, a function of the cycle (from 1) or of the
            batches trained, as `scale_mode` says.

    Attributes:
        clr_iterations: batches since the cycles began.
        trn_iterations: batches trained in all.
        history: for each batch, the rate it was trained at (lr), its number (iterations), and the
            logs of Keras; those are running means of the epoch, the loss too.
    """

    base_lr: float
    max_lr: float
    step_size: float

    def __init__(
        self,
        base_lr: float = 0.001,
        max_lr: float = 0.006,
        step_size: float = 2000.0,
        mode: Mode = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: ScaleMode = "cycle",
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise InputError(f"need mode to be one of {', '.join(MODES)}, got mode={mode!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise InputError(
                f"need scale_mode to be cycle or iterations, got scale_mode={scale_mode!r}"
            )
        check_settings(gamma=gamma)
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.trn_iterations = 0
        self.history: dict[str, list[Any]] = {}
        self._reset(base_lr, max_lr, step_size)

    def _reset(
        self,
        new_base_lr: float | None = None,
        new_max_lr: float | None = None,
        new_step_size: float | None = None,
    ) -> None:
        """Begin the cycles anew, with other bounds and another half-cycle where given."""
        base_lr = self.base_lr if new_base_lr is None else new_base_lr
        max_lr = self.max_lr if new_max_lr is None else new_max_lr
        step_size = self.step_size if new_step_size is None else new_step_size
        check_settings(base_lr=base_lr, max_lr=max_lr)
        need_positive("step_size", step_size)
        self.base_lr, self.max_lr, self.step_size = base_lr, max_lr, step_size
        self.clr_iterations = 0

    def clr(self) -> float:
        """The learning rate of the next batch."""
        step = self.clr_iterations
        window = {"base_lr": self.base_lr, "max_lr": self.max_lr, "step_size": self.step_size}
        if self.scale_fn is not None:
            cycle = math.floor(1 + step / (2 * self.step_size))
            scale = self.scale_fn(cycle if self.scale_mode == "cycle" else step)
            window["max_lr"] = self.base_lr + (self.max_lr - self.base_lr) * scale
            return float(rates.triangular(step, **window))
        if self.mode == "exp_range":
            return float(rates.exp_range(step, **window, gamma=self.gamma))
        return float(getattr(rates, self.mode)(step, **window))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        if self.model.steps_per_execution != 1:
            raise InputError(
                "need steps_per_execution=1, got "
                f"steps_per_execution={self.model.steps_per_execution}: a callback cannot reach "
                "the batches in between: compile with 1, or give the optimizer a schedule such "
                "as lrcycles.Triangular"
            )
        self._set_rate()
        warn_of_cycles(self._unwise_cycles())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self.trn_iterations += 1
        self.clr_iterations += 1
        used = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seen = {"lr": used, "iterations": self.trn_iterations, **(logs or {})}
        for name, value in seen.items():
            self.history.setdefault(name, []).append(value)
        self._set_rate()

    def _unwise_cycles(self) -> list[str]:
        """What there is to say of the cycles up to the end of the fit that begins."""
        params = self.params or {}  # none in a training loop of one's own
        steps_per_epoch = params.get("steps")
        if steps_per_epoch is None:  # nor with data that do not know their length
            return []
        return check_cycles(
            "triangular" if self.scale_fn is not None else self.mode,
            total_steps=self.clr_iterations + params["epochs"] * steps_per_epoch,
            step_size=max(1, round(self.step_size)),
            steps_per_epoch=steps_per_epoch,
            gamma=self.gamma,
        )

    def _set_rate(self) -> None:
        try:
            self.model.optimizer.learning_rate = self.clr()
        except (AttributeError, TypeError) as error:
            raise InputError(
                "need an optimizer whose learning_rate is a number, got one that holds a schedule: "
                "leave out the schedule or CyclicLR"
            ) from error
