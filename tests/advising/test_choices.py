"""Every schedule that may be named has the advised peak as its highest rate."""

from __future__ import annotations

import numpy as np
import pytest

import lrcycles
from lrcycles.advising import choices
from lrcycles.errors import InputError
from lrcycles.schedules.names import AdvisedSchedule
from lrcycles.schedules.table import SCHEDULES


@pytest.mark.parametrize("name", choices.SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 60])
def test_the_peak_is_the_highest_rate_and_the_code_builds_the_same_schedule(name, warmup):
    chosen = choices.choose(name, peak_lr=0.02, updates=600, warmup_steps=warmup)
    schedule = chosen.build()
    rates = np.asarray(schedule(np.arange(600)))
    assert rates.max() == pytest.approx(0.02, rel=1e-6)
    assert rates.min() > 0
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    if name != "constant":
        assert rates[-1] < 0.02 / 20
    assert eval(chosen.code(), {"lrcycles": lrcycles}).get_config() == schedule.get_config()


def test_every_name_is_one_of_the_pipeline_and_may_be_configured():
    assert set(choices.SCHEDULES) <= set(SCHEDULES)
    assert {"auto", *choices.SCHEDULES} == {str(name) for name in AdvisedSchedule}
    assert choices.need_schedule("auto") == "linear_decay"


@pytest.mark.parametrize("name", ["linear", "", None, 3, ["cosine"]])
def test_an_unknown_schedule_is_refused_in_one_line(name):
    with pytest.raises(InputError, match=r"^schedule must be auto or one of .*\. Received: .*\.?"):
        choices.need_schedule(name)
