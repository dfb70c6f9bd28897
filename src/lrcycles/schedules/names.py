"""Lists the names that a configuration may give a schedule or an optimizer."""

from __future__ import annotations

from enum import StrEnum

from lrcycles.schedules.optimizers import OPTIMIZERS
from lrcycles.schedules.table import SCHEDULES

ADVISED = (
    "auto linear_decay cosine warmup_stable_decay one_cycle triangular triangular2 "
    "exp_range_bounds constant"
)


class ScheduleName(StrEnum):
    """The names of `SCHEDULES`."""

    _ignore_ = "_name _members"
    _members = vars()
    for _name in SCHEDULES:
        _members[_name] = _name


class Shape(StrEnum):
    linear = "linear"
    cosine = "cosine"
    square_root = "1-sqrt"


class OptimizerName(StrEnum):
    """The classes of `OPTIMIZERS` in lower case."""

    _ignore_ = "_name _members"
    _members = vars()
    for _name in OPTIMIZERS:
        _members[_name.lower()] = _name.lower()


class AdvisedSchedule(StrEnum):
    """The schedules that `advise` may be asked for."""

    _ignore_ = "_name _members"
    _members = vars()
    for _name in ADVISED.split():
        _members[_name] = _name
