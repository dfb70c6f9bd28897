"""Counts what a search for schedule and peak rate costs, and keeps every loss that it saw."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from studies.networks.measure import OUT
from studies.networks.runs import Run
from studies.networks.task import Task
from studies.networks.trainer import CHECKS, Trainer


class OutOfBudgetError(Exception):
    """Ends a search whose budget is spent."""


class Trials:
    """The losses of a task after each eighth of a trial, in a file that grows at once."""

    def __init__(self, task: Task) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        self.path = OUT / f"{task.name}-{task.digest}-trials.jsonl"
        self.trainer = Trainer(task)
        self._losses: dict[Run, list[float]] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                loss = row.pop("loss")
                self._losses.setdefault(Run(**row), []).append(loss)

    def losses(self, run: Run) -> Iterator[float]:
        """Yield the loss after each eighth, up to a NaN loss; train what is not kept yet."""
        kept = self._losses.setdefault(run, [])
        yield from kept
        if len(kept) == CHECKS or (kept and math.isnan(kept[-1])):
            return
        for place, (loss, *_) in enumerate(self.trainer.eighths(run.rates(), run.seed)):
            if place < len(kept):
                continue  # the way back to where an earlier search stopped this training
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**vars(run), "loss": loss}) + "\n")
            kept.append(loss)
            yield loss


class Search:
    """One search: what it has spent, what it tried and which setting it would answer.

    Attributes:
        seed: of the first setting that is tried; the next setting has the next seed.
        budget: in eighths of a training.
        spent: in eighths of a training.
    """

    def __init__(self, trials: Trials, *, seed: int, budget: int) -> None:
        self.seed, self.budget, self.spent = seed, budget, 0
        self._trials = trials
        self._settings: dict[tuple[str, float], int] = {}
        self._tried: list[tuple[int, float, tuple[str, float]]] = []
        self._answers: list[tuple[int, tuple[str, float]]] = []

    def losses(
        self, schedule: str, peak: float, begin: int = 0, end: int = CHECKS
    ) -> Iterator[float]:
        """Yield the loss after each eighth of a training, and pay for the eighth.

        A training that diverged yields NaN for the eighths that remain, and they cost nothing.

        Args:
            begin: the number of eighths that the search paid before and goes on from.

        Raises:
            OutOfBudgetError: the budget does not reach to the end of the next eighth.
        """
        setting = schedule, peak
        number = self._settings.setdefault(setting, len(self._settings))
        losses = self._trials.losses(
            Run(schedule, peak, self._trials.trainer.steps, self.seed + number)
        )
        loss = 0.0
        for eighth in range(end):
            if not math.isnan(loss):
                if eighth >= begin:
                    self._pay()
                loss = next(losses)
            if eighth >= begin:
                self._tried.append((self.spent, loss, setting))
                yield loss

    def _pay(self) -> None:
        if self.spent == self.budget:
            raise OutOfBudgetError
        self.spent += 1

    def answer_is(self, schedule: str, peak: float) -> None:
        """Note the setting that the tuner calls its best from now on."""
        self._answers.append((self.spent, (schedule, peak)))

    def answer_at(self, eighths: float) -> tuple[str, float]:
        """Return the tuner's best setting at the time when it had spent so much.

        A tuner without a finished trial has no best setting yet. Its user takes the setting with
        the least loss seen so far.
        """
        answers = [setting for at, setting in self._answers if at <= eighths]
        if answers:
            return answers[-1]
        seen = [(loss, setting) for at, loss, setting in self._tried if at <= eighths]
        return min(seen, key=lambda one: math.inf if math.isnan(one[0]) else one[0])[1]
