# Keras has no type annotations, so its classes are Any.
# mypy: disallow-subclassing-any=False

"""Holds the callback CyclicLR, for code that was written for the CLR callback of 2017.

A callback changes the rate after every batch. This costs time, does not work with
steps_per_execution, and loses its place when a model is saved. The schedules of `keras_schedules`
have none of these drawbacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import keras

from lrcycles.errors import InputError
from lrcycles.schedules import rates
from lrcycles.schedules.cycles import check_cycles
from lrcycles.schedules.keras_base import warn_of_cycles
from lrcycles.schedules.limits import check_settings, need_positive

Mode = Literal["triangular", "triangular2", "exp_range"]
ScaleMode = Literal["cycle", "iterations"]
MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(keras.callbacks.Callback):
    """Set the learning rate of every batch.

    The arguments and the history are those of bckenstler/CLR.

    Args:
        step_size: half a cycle in batches.
        mode: the schedule; ignored if `scale_fn` is given.
        gamma: with exp_range, every batch multiplies the amplitude by this.
        scale_fn: returns a factor of the amplitude.
        scale_mode: the argument of `scale_fn`: the number of the cycle, from 1, or of batches
            trained (iterations).

    Attributes:
        clr_iterations: batches since the cycles began.
        trn_iterations: all batches trained.
        history: for each batch its rate (lr), its number (iterations), and the logs of Keras,
            which are means since the epoch began, for the loss too.
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
            raise InputError(
                f"mode must be one of {', '.join(MODES)}. Received: {mode!r}. Choose one."
            )
        if scale_mode not in ("cycle", "iterations"):
            raise InputError(
                f"scale_mode must be cycle or iterations. Received: {scale_mode!r}. Choose one."
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
        """Restart the cycles, with new bounds and a new half-cycle where given."""
        base_lr = self.base_lr if new_base_lr is None else new_base_lr
        max_lr = self.max_lr if new_max_lr is None else new_max_lr
        step_size = self.step_size if new_step_size is None else new_step_size
        check_settings(base_lr=base_lr, max_lr=max_lr)
        need_positive("step_size", step_size)
        self.base_lr, self.max_lr, self.step_size = base_lr, max_lr, step_size
        self.clr_iterations = 0

    def clr(self) -> float:
        """Return the learning rate of the next batch."""
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
                "steps_per_execution must be 1: a callback cannot reach the batches in between. "
                f"Received: {self.model.steps_per_execution}. Compile with 1, or give the "
                "optimizer a schedule such as lrcycles.Triangular."
            )
        self._set_rate()
        warn_of_cycles(self._unwise_cycles())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self.trn_iterations += 1
        self.clr_iterations += 1
        used = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        record = {"lr": used, "iterations": self.trn_iterations, **(logs or {})}
        for name, value in record.items():
            self.history.setdefault(name, []).append(value)
        self._set_rate()

    def _unwise_cycles(self) -> list[str]:
        """Return what is unwise about the cycles up to the end of the fit that begins."""
        params = self.params or {}  # empty in a training loop without fit
        steps_per_epoch = params.get("steps")
        if steps_per_epoch is None:  # data of unknown length
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
                "The optimizer's learning_rate must be a number. Received: an optimizer with a "
                "schedule. Leave out the schedule or CyclicLR."
            ) from error
