"""Measures cyclical learning rates: range test, bounds, and evidence of whether cycling helps."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrcycles.advising.advice import Advice as Advice
    from lrcycles.advising.of_model import advise as advise
    from lrcycles.bounds.plots import plot_bounds as plot_bounds
    from lrcycles.bounds.select import Bounds as Bounds
    from lrcycles.bounds.select import select_bounds as select_bounds
    from lrcycles.errors import InputError as InputError
    from lrcycles.evidence.paired import compare_pairs as compare_pairs
    from lrcycles.range_tests.curves import Curves as Curves
    from lrcycles.range_tests.of_model import range_test as range_test
    from lrcycles.range_tests.recorded.histories import read_history as read_history
    from lrcycles.schedules.cycles import check_cycles as check_cycles
    from lrcycles.schedules.keras_base import CycleWarning as CycleWarning
    from lrcycles.schedules.keras_callback import CyclicLR as CyclicLR
    from lrcycles.schedules.keras_loading import register_keras_objects as register_keras_objects
    from lrcycles.schedules.keras_optimizers import controlled as controlled
    from lrcycles.schedules.keras_schedules import SGDR as SGDR
    from lrcycles.schedules.keras_schedules import Constant as Constant
    from lrcycles.schedules.keras_schedules import Cosine as Cosine
    from lrcycles.schedules.keras_schedules import CyclicMomentum as CyclicMomentum
    from lrcycles.schedules.keras_schedules import ExpRange as ExpRange
    from lrcycles.schedules.keras_schedules import ExpRangeBounds as ExpRangeBounds
    from lrcycles.schedules.keras_schedules import Hann as Hann
    from lrcycles.schedules.keras_schedules import InverseTime as InverseTime
    from lrcycles.schedules.keras_schedules import LinearDecay as LinearDecay
    from lrcycles.schedules.keras_schedules import OneCycle as OneCycle
    from lrcycles.schedules.keras_schedules import StepDecay as StepDecay
    from lrcycles.schedules.keras_schedules import Triangular as Triangular
    from lrcycles.schedules.keras_schedules import Triangular2 as Triangular2
    from lrcycles.schedules.keras_schedules import WarmupStableDecay as WarmupStableDecay
    from lrcycles.schedules.keras_schedules import Welch as Welch
    from lrcycles.schedules.plateau import PlateauRule as PlateauRule
    from lrcycles.schedules.plateau import PlateauState as PlateauState
    from lrcycles.schedules.plateau import plateau as plateau
    from lrcycles.schedules.ramps import exponential_ramp as exponential_ramp
    from lrcycles.schedules.ramps import linear_ramp as linear_ramp
    from lrcycles.schedules.ramps import ramp_table as ramp_table
    from lrcycles.schedules.rates import constant as constant
    from lrcycles.schedules.rates import cosine as cosine
    from lrcycles.schedules.rates import exp_range as exp_range
    from lrcycles.schedules.rates import exp_range_bounds as exp_range_bounds
    from lrcycles.schedules.rates import hann as hann
    from lrcycles.schedules.rates import inverse_time as inverse_time
    from lrcycles.schedules.rates import linear_decay as linear_decay
    from lrcycles.schedules.rates import one_cycle as one_cycle
    from lrcycles.schedules.rates import sgdr as sgdr
    from lrcycles.schedules.rates import step_decay as step_decay
    from lrcycles.schedules.rates import triangular as triangular
    from lrcycles.schedules.rates import triangular2 as triangular2
    from lrcycles.schedules.rates import welch as welch
    from lrcycles.schedules.table import cycle_step_size as cycle_step_size
    from lrcycles.schedules.table import rate_table as rate_table
    from lrcycles.schedules.warmup import linear_warmup as linear_warmup
    from lrcycles.schedules.warmup import warmup_stable_decay as warmup_stable_decay

__version__ = "0.1.0"

# The module of each public name. A name is loaded on first use, so `import lrcycles` is fast.
_PUBLIC = {
    "advising.of_model": "advise",
    "advising.advice": "Advice",
    "errors": "InputError",
    "schedules.rates": "constant triangular triangular2 exp_range exp_range_bounds welch hann "
    "linear_decay cosine sgdr one_cycle step_decay inverse_time",
    "schedules.warmup": "linear_warmup warmup_stable_decay",
    "schedules.ramps": "linear_ramp exponential_ramp ramp_table",
    "schedules.table": "rate_table cycle_step_size",
    "schedules.cycles": "check_cycles",
    "schedules.plateau": "PlateauRule PlateauState plateau",
    "schedules.keras_schedules": "Constant Triangular Triangular2 ExpRange ExpRangeBounds Welch "
    "Hann LinearDecay Cosine SGDR OneCycle StepDecay InverseTime WarmupStableDecay "
    "CyclicMomentum",
    "schedules.keras_base": "CycleWarning",
    "schedules.keras_optimizers": "controlled",
    "schedules.keras_loading": "register_keras_objects",
    "schedules.keras_callback": "CyclicLR",
    "range_tests.of_model": "range_test",
    "range_tests.curves": "Curves",
    "range_tests.recorded.histories": "read_history",
    "bounds.select": "Bounds select_bounds",
    "bounds.plots": "plot_bounds",
    "evidence.paired": "compare_pairs",
}
_MODULE_OF = {name: module for module, words in _PUBLIC.items() for name in words.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lrcycles' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lrcycles.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
