"""Cyclical learning rates, measured: range test, bounds, and evidence of whether cycling helps."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrcycles.bound_rules import Bounds as Bounds
    from lrcycles.bound_rules import select_bounds as select_bounds
    from lrcycles.compare import compare_pairs as compare_pairs
    from lrcycles.curves import Curves as Curves
    from lrcycles.cyclic_lr import CyclicLR as CyclicLR
    from lrcycles.errors import InputError as InputError
    from lrcycles.histories import read_history as read_history
    from lrcycles.keras_cycles import CycleWarning as CycleWarning
    from lrcycles.keras_optimizers import CyclicMomentum as CyclicMomentum
    from lrcycles.keras_optimizers import controlled as controlled
    from lrcycles.keras_range_test import range_test as range_test
    from lrcycles.keras_schedules import SGDR as SGDR
    from lrcycles.keras_schedules import Constant as Constant
    from lrcycles.keras_schedules import Cosine as Cosine
    from lrcycles.keras_schedules import ExpRange as ExpRange
    from lrcycles.keras_schedules import ExpRangeBounds as ExpRangeBounds
    from lrcycles.keras_schedules import Hann as Hann
    from lrcycles.keras_schedules import InverseTime as InverseTime
    from lrcycles.keras_schedules import LinearDecay as LinearDecay
    from lrcycles.keras_schedules import OneCycle as OneCycle
    from lrcycles.keras_schedules import StepDecay as StepDecay
    from lrcycles.keras_schedules import Triangular as Triangular
    from lrcycles.keras_schedules import Triangular2 as Triangular2
    from lrcycles.keras_schedules import Welch as Welch
    from lrcycles.plateaus import PlateauRule as PlateauRule
    from lrcycles.plateaus import PlateauState as PlateauState
    from lrcycles.plateaus import plateau as plateau
    from lrcycles.plots import plot_bounds as plot_bounds
    from lrcycles.rates import constant as constant
    from lrcycles.rates import cosine as cosine
    from lrcycles.rates import exp_range as exp_range
    from lrcycles.rates import exp_range_bounds as exp_range_bounds
    from lrcycles.rates import exponential_ramp as exponential_ramp
    from lrcycles.rates import hann as hann
    from lrcycles.rates import inverse_time as inverse_time
    from lrcycles.rates import linear_decay as linear_decay
    from lrcycles.rates import linear_ramp as linear_ramp
    from lrcycles.rates import one_cycle as one_cycle
    from lrcycles.rates import sgdr as sgdr
    from lrcycles.rates import step_decay as step_decay
    from lrcycles.rates import triangular as triangular
    from lrcycles.rates import triangular2 as triangular2
    from lrcycles.rates import welch as welch
    from lrcycles.schedule_checks import check_cycles as check_cycles
    from lrcycles.schedules import cycle_step_size as cycle_step_size
    from lrcycles.schedules import ramp_table as ramp_table
    from lrcycles.schedules import rate_table as rate_table

__version__ = "0.1.0"

# Where each public name is. Loaded on first use, so that `import lrcycles` costs nothing.
_PUBLIC = {
    "errors": "InputError",
    "rates": "constant triangular triangular2 exp_range exp_range_bounds welch hann linear_decay "
    "cosine sgdr one_cycle step_decay inverse_time linear_ramp exponential_ramp",
    "schedules": "rate_table ramp_table cycle_step_size",
    "schedule_checks": "check_cycles",
    "plateaus": "PlateauRule PlateauState plateau",
    "keras_schedules": "Constant Triangular Triangular2 ExpRange ExpRangeBounds Welch Hann "
    "LinearDecay Cosine SGDR OneCycle StepDecay InverseTime",
    "keras_cycles": "CycleWarning",
    "keras_optimizers": "controlled CyclicMomentum",
    "cyclic_lr": "CyclicLR",
    "keras_range_test": "range_test",
    "curves": "Curves",
    "bound_rules": "Bounds select_bounds",
    "histories": "read_history",
    "plots": "plot_bounds",
    "compare": "compare_pairs",
}
_MODULE_OF = {name: module for module, words in _PUBLIC.items() for name in words.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lrcycles' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lrcycles.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
