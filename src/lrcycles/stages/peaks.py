"""Chooses the peak rate of an arm by trainings with other seeds, on the validation images."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lrcycles import files
from lrcycles.cells.cell import Cell
from lrcycles.cells.result import CellResult
from lrcycles.cells.store import CellStore
from lrcycles.config import plain
from lrcycles.errors import InputError

DIVERGED_PERCENT = 100.0  # what a training that diverged counts as: no error is larger
_AT = "@"  # no name of an arm has this letter


def trial_name(arm: str, peak: float) -> str:
    """Name the trainings of an arm at a peak.

    >>> trial_name("linear_decay_10", 3.2e-3)
    'linear_decay_10@0.0032'
    """
    return f"{arm}{_AT}{peak!r}"


def arm_and_peak(name: str) -> tuple[str, float | None]:
    """Split the name of a cell's arm; without a peak, the cell chooses none.

    >>> arm_and_peak("linear_decay_10@0.0032"), arm_and_peak("clr")
    (('linear_decay_10', 0.0032), ('clr', None))
    """
    arm, at, peak = name.partition(_AT)
    return arm, float(peak) if at else None


@dataclass(frozen=True)
class Trial:
    """The trainings of an arm at one peak; the mean counts those that diverged as 100 %."""

    peak: float
    validation_error_percent: float
    trainings: int
    diverged: int


@dataclass(frozen=True)
class Choice:
    """The peak of an arm, and the trials that it was chosen by, in the order of train.peaks."""

    arm: str
    trials: Sequence[Trial]

    @property
    def peak(self) -> float | None:
        """The peak with the least error, the smaller of two; None if every training diverged."""
        # Rounded, because equal counts of wrong images give means that differ in their last bit.
        ranked = sorted(
            (round(trial.validation_error_percent, 9), trial.peak)
            for trial in self.trials
            if trial.diverged < trial.trainings
        )
        return ranked[0][1] if ranked else None

    @property
    def at_end(self) -> bool:
        """Whether the peak is the first or last of the grid: a better one may lie beyond."""
        return self.peak in (self.trials[0].peak, self.trials[-1].peak)


def choose(cells: Sequence[Cell], store: CellStore) -> list[Choice]:
    """Choose the peak of every arm that `cells` are trials of; the store must have all of them."""
    results: dict[str, dict[float, list[CellResult]]] = {}
    for cell in cells:
        arm, peak = arm_and_peak(cell.arm)
        assert peak is not None
        results.setdefault(arm, {}).setdefault(peak, []).append(store.result(cell))
    return [
        Choice(arm, [_trial(peak, of_peak) for peak, of_peak in sorted(by_peak.items())])
        for arm, by_peak in results.items()
    ]


def _trial(peak: float, results: Sequence[CellResult]) -> Trial:
    errors = [result.validation_error_percent for result in results]
    counted = [DIVERGED_PERCENT if error is None else error for error in errors]
    return Trial(peak, statistics.fmean(counted), len(errors), errors.count(None))


def peaks_of(choices: Sequence[Choice]) -> dict[str, float]:
    """Return the chosen peak by arm, without the arms that have none."""
    return {choice.arm: choice.peak for choice in choices if choice.peak is not None}


def need_peaks(choices: Sequence[Choice]) -> None:
    """Refuse an arm whose trainings diverged at every peak, and warn of peaks at an end."""
    if lost := [choice.arm for choice in choices if choice.peak is None]:
        grid = [trial.peak for trial in choices[0].trials]
        raise InputError(
            "At least one training of an arm that asks for `peak` must finish. Received: all "
            f"diverged, of {', '.join(lost)} with train.peaks={plain.typed(grid)}. Set "
            "lower train.peaks. The trainings are kept."
        )
    if sentence := _warning(choices):
        print(f"warning: {sentence}", file=sys.stderr)


def _warning(choices: Sequence[Choice]) -> str | None:
    """Word which peaks lie at an end of the grid, with a grid that goes on there."""
    grid = [trial.peak for trial in choices[0].trials]
    low, high = (grid[1] / grid[0], grid[-1] / grid[-2]) if len(grid) > 1 else (2.0, 2.0)
    received, longer = [], list(grid)
    for end, name, beyond in ((0, "first", grid[0] / low), (-1, "last", grid[-1] * high)):
        if arms := [choice.arm for choice in choices if choice.peak == grid[end]]:
            received.append(f"{grid[end]!r}, the {name}, for {', '.join(arms)}")
            longer.append(float(f"{beyond:.3g}"))
    if not received:
        return None
    return (
        "A chosen peak should lie inside train.peaks, because a better one may lie beyond an end. "
        f"Received: {'; '.join(received)}. Set train.peaks={plain.typed(sorted(longer))}."
    )


def write_choices(choices: Sequence[Choice], path: Path) -> None:
    """Write peaks.json: by arm its peak, and what each peak of the grid reached."""
    content: dict[str, Any] = {
        choice.arm: {
            "peak": choice.peak,
            "at_end_of_grid": choice.at_end,
            "trials": [asdict(trial) for trial in choice.trials],
        }
        for choice in choices
    }
    files.write_json(path, content)
