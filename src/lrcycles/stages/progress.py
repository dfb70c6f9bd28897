"""Shows the progress of trainings: a bar with the time left in a terminal, else a line per cell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lrcycles.cells.cell import Cell


@dataclass
class Pace:
    """The seconds that trainings need for a step, measured over all processes together.

    The clock starts at the end of the first epoch, because compilation comes before.
    """

    left: int  # steps of this stage
    later: int  # steps of the groups that come after it
    done: int = 0  # steps since the clock started
    started: float | None = None

    def add(self, steps: int, now: float) -> None:
        """Count the steps of an epoch that ended at `now`."""
        self.left -= steps
        if self.started is None:
            self.started = now
        else:
            self.done += steps

    def text(self, now: float) -> str:
        """Say how long the rest takes; "" before anything is measured, and at the end."""
        if self.started is None or not self.done or self.left + self.later <= 0:
            return ""
        per_step = (now - self.started) / self.done
        parts = [f"about {duration(per_step * self.left)} left in this stage"] if self.left else []
        if self.later:
            rest = duration(per_step * (self.left + self.later))
            parts.append(f"about {rest} left in all trainings")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Write a time for a reader.

    >>> duration(40), duration(600), duration(9000)
    ('40 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@contextmanager
def over(
    cells: Sequence[Cell],
    describe: Callable[[Cell], str],
    *,
    steps_of: Callable[[Cell], int],
    stage_steps: int,
    later_steps: int,
) -> Iterator[Callable[[str, str], None]]:
    """Give the function `on_event(event, key)` that `train_all` calls.

    Args:
        cells: the cells that will be trained.
        describe: summarizes a finished cell's result in a few words.
        stage_steps: steps of the other trainings that this stage has to do.
        later_steps: steps of the trainings in the stages after this one.
    """
    from tqdm import tqdm

    waiting: Mapping[str, Cell] = {cell.key: cell for cell in cells}
    steps = {key: steps_of(cell) for key, cell in waiting.items()}
    pace = Pace(left=sum(steps.values()) + stage_steps, later=later_steps)
    finished: set[str] = set()
    epochs = sum(cell.epochs for cell in waiting.values())
    terminal = sys.stderr.isatty()
    with tqdm(total=epochs, unit="epoch", disable=not terminal, smoothing=0.1) as bar:

        def on_event(event: str, key: str) -> None:
            if event == "message":
                tqdm.write(key, file=sys.stderr)
            cell = waiting.get(key)
            if cell is None:
                return
            if event == "epoch":
                pace.add(steps[key] // cell.epochs, time.monotonic())
                bar.update()
            elif key not in finished:
                finished.add(key)
                line = f"[{len(finished)}/{len(waiting)}] {cell.arm} seed {cell.seed}"
                left = "" if terminal else pace.text(time.monotonic())
                words = filter(None, [describe(cell), left])
                tqdm.write(f"{line}: {'; '.join(words)}", file=sys.stderr)
            words = filter(None, [f"{len(finished)}/{len(waiting)} cells", _of_all(pace)])
            bar.set_postfix_str(", ".join(words), refresh=False)

        yield on_event


def _of_all(pace: Pace) -> str:
    return pace.text(time.monotonic()) if pace.later else ""  # the bar shows the stage's own time
