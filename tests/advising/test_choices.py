"""Every schedule that may be named has the advised peak as its highest rate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import lrcycles
from lrcycles.advising import choices
from lrcycles.advising.peak import PeakEstimate
from lrcycles.errors import InputError
from lrcycles.schedules.names import AdvisedSchedule
from lrcycles.schedules.table import SCHEDULES, rate_table

LINEAR = PeakEstimate(
    peak_lr=0.02,
    low=0.01,
    high=0.04,
    chance=0.5,
    expected_loss=1.0,
    expected_low=0.8,
    expected_high=1.25,
    warmup=True,
    needs_warmup=False,
    open_above=False,
    open_below=False,
)


@pytest.mark.parametrize("name", choices.SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 60])
def test_the_peak_is_the_highest_rate_and_the_code_builds_the_same_schedule(name, warmup):
    chosen = choices.choose(name, peak_lr=0.02, updates=600, warmup_steps=warmup)
    schedule = chosen.build()
    rates = np.asarray(schedule(np.arange(600)))
    highest = 0.02 if name != "exp_range_bounds" else 0.02 * 0.1 ** (1 / 6)  # after half a cycle
    assert rates.max() == pytest.approx(highest, rel=1e-4)
    assert rates.min() > 0
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    if name != "constant":
        assert rates[-1] < 0.02 / 20
    assert eval(chosen.code(), {"lrcycles": lrcycles}).get_config() == schedule.get_config()


def test_shrinking_cycles_are_those_whose_best_peak_was_measured():
    schedule = choices.choose("exp_range_bounds", peak_lr=0.02, updates=600).build()
    measured = rate_table(
        "exp_range_bounds", total_steps=600, base_lr=0.02 / 40, max_lr=0.02, cycles=3
    )
    np.testing.assert_allclose(np.asarray(schedule(np.arange(600))), measured, rtol=1e-4)


def test_every_name_is_one_of_the_pipeline_and_may_be_configured():
    assert set(choices.SCHEDULES) <= set(SCHEDULES)
    assert {"auto", *choices.SCHEDULES} == {str(name) for name in AdvisedSchedule}
    assert choices.need_schedule("auto") == "linear_decay"


@pytest.mark.parametrize("name", choices.SCHEDULES)
def test_a_schedule_has_a_warm_up_unless_it_begins_low(name):
    first, *others = np.asarray(choices.choose(name, peak_lr=0.02, updates=600).build()(range(600)))
    assert choices.SCHEDULES[name].has_warmup == (first >= max(others))


def test_the_linear_decay_keeps_what_the_probes_say():
    assert choices.transferred(LINEAR, "linear_decay") is LINEAR


def test_another_schedule_has_the_measured_ratios_and_a_wider_interval():
    found = choices.transferred(LINEAR, "constant")
    assert found.peak_lr == pytest.approx(0.02 * 0.42)
    # One octave on each side, and 1.645 standard deviations of 0.59 octaves: sqrt(1 + 0.97055^2).
    assert math.log2(found.high / found.peak_lr) == pytest.approx(1.3936, abs=1e-4)
    assert found.peak_lr / found.low == pytest.approx(found.high / found.peak_lr)
    assert (found.expected_loss, found.expected_high) == pytest.approx((1.11, 1.3875))
    assert math.isnan(found.chance)


def test_a_loss_below_0_is_expected_to_be_worse_where_the_schedule_is_worse():
    found = choices.transferred(replace(LINEAR, expected_loss=-1.0), "constant")
    assert found.expected_loss == pytest.approx(-0.89)


@pytest.mark.parametrize("name", ["linear", "", None, 3, ["cosine"]])
def test_an_unknown_schedule_is_refused_in_one_line(name):
    with pytest.raises(InputError, match=r"^schedule must be auto or one of .*\. Received: .*\.?"):
        choices.need_schedule(name)
