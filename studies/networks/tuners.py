"""Lets tuners search schedule and peak rate, each as its documentation shows it.

Needs the group `studies` of pyproject.toml. Every loss is kept at once, so a search that was
stopped continues where it was.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras_tuner
import numpy as np
import optuna
import pandas as pd

from lrcycles import files
from studies.networks.landscape import Landscape
from studies.networks.measure import OUT, kept
from studies.networks.runs import SCHEDULES
from studies.networks.search import OutOfBudgetError, Search, Trials
from studies.networks.task import Task
from studies.networks.trainer import CHECKS

# Optuna's example for Keras searches 1e-5 to 1e-1, KerasTuner's guide 1e-4 to 1e-2, each for Adam
# or RMSprop. The tasks have other optimizers, of which SGD may need more than 0.1.
PEAKS = (1e-5, 1.0)
BUDGET = 10  # whole trainings
COSTS = np.arange(1, 2 * BUDGET + 1) / 2  # where the answers are read
REPEATS = 3
# A repeat begins a thousand seeds later, because KerasTuner uses the next seed for each number
# that it draws: with neighbouring seeds the repeats would try the same settings.
SEEDS_APART = 1000


def optuna_with(
    sampler: Callable[..., optuna.samplers.BaseSampler],
    pruner: Callable[[], optuna.pruners.BasePruner],
) -> Callable[[Search], None]:
    """Return a search with Optuna, which reports every eighth of a training."""

    def run(search: Search) -> None:
        def objective(trial: optuna.Trial) -> float:
            schedule = trial.suggest_categorical("schedule", SCHEDULES)
            peak = trial.suggest_float("peak", *PEAKS, log=True)
            loss = math.nan
            for eighth, loss in enumerate(search.losses(schedule, peak), 1):
                trial.report(loss, eighth)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return loss

        def note_best(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
            with suppress(ValueError):  # no trial has finished yet
                search.answer_is(**study.best_params)

        # The name decides which trials the pruner treats alike.
        study = optuna.create_study(
            study_name=str(search.seed), sampler=sampler(seed=search.seed), pruner=pruner()
        )
        study.optimize(objective, callbacks=[note_best])

    return run


def hyperband_of_optuna() -> optuna.pruners.BasePruner:
    """Build the pruner of Optuna's documentation for trials that report `CHECKS` losses."""
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=CHECKS, reduction_factor=3)


class Hyperband(keras_tuner.Hyperband):  # type: ignore[misc]
    """KerasTuner's Hyperband, whose epoch is an eighth of a training.

    It continues the better trials exactly where they stopped.
    """

    def __init__(self, ledger: Search, **settings: Any) -> None:
        self._ledger = ledger
        super().__init__(**settings)

    def run_trial(self, trial: Any, **_: Any) -> float:
        """Train from one of the tuner's epochs to another, and return the loss at the end.

        The loss of the best epoch, which KerasTuner takes by default, is not what the answer is
        judged by.
        """
        values = trial.hyperparameters
        epochs = values["tuner/initial_epoch"], values["tuner/epochs"]
        try:
            losses = list(self._ledger.losses(values["schedule"], values["peak"], *epochs))
        except OutOfBudgetError as error:
            # KerasTuner ends a search for an error of this kind only.
            raise keras_tuner.errors.FatalError from error
        return losses[-1]

    def on_trial_end(self, trial: Any) -> None:
        """Note the tuner's best trial."""
        super().on_trial_end(trial)
        for best in self.get_best_hyperparameters():
            self._ledger.answer_is(best["schedule"], best["peak"])


def hyperband_of_keras_tuner(search: Search) -> None:
    """Search with KerasTuner."""
    space = keras_tuner.HyperParameters()
    space.Choice("schedule", list(SCHEDULES))
    space.Float("peak", *PEAKS, sampling="log")
    with tempfile.TemporaryDirectory() as folder:
        tuner = Hyperband(
            search,
            max_epochs=CHECKS,
            factor=3,
            hyperband_iterations=BUDGET,  # more than the budget reaches
            max_consecutive_failed_trials=search.budget + 1,  # the range holds rates far too high
            hyperparameters=space,
            seed=search.seed,
            directory=folder,
        )
        with suppress(keras_tuner.errors.FatalError):
            tuner.search(verbose=0)


TUNERS: dict[str, Callable[[Search], None]] = {
    "random search": optuna_with(optuna.samplers.RandomSampler, optuna.pruners.NopPruner),
    "Optuna": optuna_with(optuna.samplers.TPESampler, hyperband_of_optuna),
    "KerasTuner": hyperband_of_keras_tuner,
}


def tuned(task: Task, landscape: Landscape, repeats: int = REPEATS) -> pd.DataFrame:
    """Return what each tuner answers at each cost, and the loss there relative to the oracle's.

    The loss is the mean over the seeds of the grid, not that of the trial.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials = Trials(task)
    rows = []
    for repeat in range(repeats):
        for name, run in TUNERS.items():
            search = Search(trials, seed=SEEDS_APART * (repeat + 1), budget=BUDGET * CHECKS)
            with suppress(OutOfBudgetError):
                run(search)
            for cost in COSTS:
                schedule, peak = search.answer_at(cost * CHECKS)
                ratio = landscape.ratio(schedule, peak)
                rows.append((name, task.name, repeat, cost, schedule, peak, ratio))
    columns = ["tuner", "task", "repeat", "cost", "schedule", "peak", "ratio"]
    return pd.DataFrame(rows, columns=columns)


def search(task: Task, repeats: int = REPEATS) -> None:
    """Search on a task and keep the answers."""
    answers = tuned(task, Landscape.of(kept(task)), repeats)
    files.write_table(OUT / f"{task.name}-{task.digest}-tuned.parquet", answers)
