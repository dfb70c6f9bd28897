"""The answer of `advise`: a schedule, how sure it is, what it cost, and how to use it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lrcycles import files
from lrcycles.advising import wording
from lrcycles.advising.choices import Choice
from lrcycles.advising.meter import Meter
from lrcycles.advising.snippet import Fit, counter
from lrcycles.bounds.select import Bounds
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Cost:
    """What an advice took, in trainings of the length that it is for.

    Attributes:
        planned: the budget.
        used: the sum of `range_test` and `probes`, which never exceeds `planned`.
        seconds: of all of it, with compilation.
    """

    planned: float
    range_test: float
    probes: float
    seconds: float

    @property
    def used(self) -> float:
        """What was spent in all."""
        return self.range_test + self.probes

    @classmethod
    def of(cls, meter: Meter, for_sweeps: float, seconds: float) -> Self:
        """Make it of the mini-batches that a meter has counted, in all and for the sweeps."""
        whole = meter.training.batches
        return cls(meter.budget, for_sweeps / whole, (meter.spent - for_sweeps) / whole, seconds)


@dataclass(frozen=True, repr=False)
class Advice:
    """A schedule for one training, with its peak, and how sure both are.

    `print` shows a few lines and the code to paste; `to_dict` has everything but the curves.

    Attributes:
        schedule_name: such as linear_decay.
        peak_lr: the highest rate of the schedule; of exp_range_bounds the bound at the first step.
        peak_interval: two rates that hold the best peak with a chance of 90 %.
        warmup_steps: mini-batches of the linear warm-up; 0 for none.
        total_steps: mini-batches of the training, with those of the warm-up.
        expected_loss: the held-out loss at the end of the training; None if no probe ended well.
        expected_interval: two losses that hold it with a chance of 90 %.
        chance: that the loss is within 2 % of the loss at the best peak; None if unknown.
        status: ok, or warned where there are `warnings`.
        reasons: where the answer comes from.
        warnings: what was not seen.
        probes: a row for each probe: peak_lr, steps, warmup_steps, seed, loss, failed.
        curves: of the range test.
        bounds: of cycles, from the range test alone; None where it shows none.
    """

    schedule_name: str
    peak_lr: float
    peak_interval: tuple[float, float]
    warmup_steps: int
    total_steps: int
    expected_loss: float | None
    expected_interval: tuple[float, float] | None
    chance: float | None
    cost: Cost
    status: str
    reasons: list[str]
    warnings: list[str]
    probes: pd.DataFrame
    curves: Curves
    bounds: Bounds | None
    choice: Choice
    fit: Fit
    schema: int = 1

    def __str__(self) -> str:
        return wording.lines(self)

    def __repr__(self) -> str:
        return (
            f"Advice({self.schedule_name}, peak_lr={self.peak_lr:g}, "
            f"warmup_steps={self.warmup_steps}, total_steps={self.total_steps}, "
            f"status={self.status!r})"
        )

    @property
    def code(self) -> str:
        """The Keras code that trains with this schedule."""
        return self.fit.code(self.choice)

    def schedule(self) -> Any:
        """Return the schedule for `keras.optimizers`, as their learning_rate."""
        return self.choice.build()

    def apply(self, model: Any) -> None:
        """Give the schedule to the optimizer of a compiled model, from step 0 on.

        Then call `model.fit` as usual. Momenta of an optimizer that has trained already are kept.

        Raises:
            InputError: the model is not compiled, or has an optimizer of another class.
        """
        optimizer = getattr(model, "optimizer", None)
        if optimizer is None:
            raise InputError(
                "model must be a compiled Keras model with an optimizer. "
                f"Received: {type(model).__name__} without one. Compile it, or set "
                "learning_rate=advice.schedule() on the optimizer of your train step."
            )
        swept = self.curves.optimizer
        own = type(getattr(optimizer, "inner_optimizer", optimizer)).__name__.lower()
        own = own.removeprefix("controlled")
        if swept is not None and own != swept.removeprefix("controlled"):
            raise InputError(
                f"The model's optimizer must be of the class that the advice is for, {swept}. "
                f"Received: {own}. Compile the model with that optimizer, or set "
                "learning_rate=advice.schedule() on the one that the train step uses."
            )
        optimizer.learning_rate = self.schedule()
        counter(optimizer).assign(0)
        model.train_function = None  # it holds the old rate

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the range test, the probes, the peak with its interval, and the schedule.

        Args:
            path: a PNG to write. Without it, a notebook shows the figure.
        """
        # lazily: they import Matplotlib
        from lrcycles.advising.plots import figure_of
        from lrcycles.bounds.plots import show_in_notebook

        figure = figure_of(self)
        if path is None:
            show_in_notebook(figure)
        else:
            files.write_figure(Path(path), figure)
        return figure

    def write(self, folder: str | Path) -> None:
        """Write advice.json and advice.png into a folder."""
        files.write_json(Path(folder) / "advice.json", self.to_dict())
        self.plot(Path(folder) / "advice.png")

    def to_dict(self) -> dict[str, Any]:
        """Return the content of advice.json."""
        probes = [
            {**row, "loss": wording.known(row["loss"])} for row in self.probes.to_dict("records")
        ]
        return {
            "schema": self.schema,
            "schedule": self.schedule_name,
            "peak_lr": self.peak_lr,
            "peak_interval": list(self.peak_interval),
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "expected_loss": self.expected_loss,
            "expected_interval": self.expected_interval and list(self.expected_interval),
            "chance": self.chance,
            "cost": {**asdict(self.cost), "used": self.cost.used},
            "status": self.status,
            "reasons": self.reasons,
            "warnings": self.warnings,
            "probes": probes,
            "keras_class": self.choice.keras_class,
            "settings": self.choice.settings,
            "code": self.code,
            "bounds": self.bounds and self.bounds.to_dict(),
        }
