"""Bounds are medians over the seeds, and come with reasons, warnings and a step size."""

from __future__ import annotations

import json
import math
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds import select
from lrcycles.bounds.select import RULES
from lrcycles.config.schema import RuleName
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves
from tests.bounds.hand_made import (
    BEFORE,
    HALF_WINDOW,
    HILL,
    TRAINING,
    curves,
    decades,
    one_curve,
    select_bounds,
)


def test_bounds_json_has_the_documented_keys_and_plain_values():
    bounds = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING).to_dict()
    assert set(json.loads(json.dumps(bounds, allow_nan=False))) == {
        *("schema", "base_lr", "max_lr", "cycles", "step_size", "rule", "status"),
        *("reasons", "warnings", "interval", "steps_per_epoch", "ratio"),
    }
    assert set(bounds["interval"]) == {"base_lr", "max_lr", "per_seed"}
    assert [set(entry) for entry in bounds["interval"]["per_seed"]] == [
        {"seed", "base_lr", "max_lr"}
    ] * 5
    assert (bounds["status"], bounds["rule"], bounds["step_size"]) == ("ok", "smith", 600)


def test_counts_of_numpy_become_counts_of_python():
    numpy = {"cycles": np.int64(3), "epochs": np.uint8(20), "steps_per_epoch": np.uint8(200)}
    plain = {"cycles": 3, "epochs": 20, "steps_per_epoch": 200}
    texts = [
        json.dumps(select_bounds(curves(HILL), initial_accuracy=BEFORE, **lengths).to_dict())
        for lengths in (numpy, plain)
    ]
    assert texts[0] == texts[1]


def test_rates_have_three_significant_digits():
    bounds = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    for rate in (bounds.base_lr, bounds.max_lr):
        assert rate == float(f"{rate:.2e}")


def test_the_bound_is_the_median_over_the_seeds_on_the_logarithmic_scale():
    bounds = select_bounds(curves(HILL, seeds=range(4)), initial_accuracy=BEFORE, **TRAINING)
    each = [entry["max_lr"] for entry in bounds.interval["per_seed"]]
    assert_allclose(bounds.max_lr, math.sqrt(sorted(each)[1] * sorted(each)[2]), rtol=0.01)
    spread = bounds.interval["max_lr"]["spread_decades"]
    assert_allclose(spread, np.std(np.log10(each), ddof=1), atol=0.002)


def test_the_order_of_rows_and_seeds_does_not_matter():
    table = curves(HILL)
    shuffled = table.sample(frac=1, random_state=0)
    assert select_bounds(shuffled, initial_accuracy=BEFORE, **TRAINING) == select_bounds(
        table, initial_accuracy=BEFORE, **TRAINING
    )


def test_empty_or_incomplete_curves_are_refused():
    with pytest.raises(InputError, match="an empty table"):
        select_bounds(curves(HILL)[:0], **TRAINING)
    with pytest.raises(InputError, match="curves without loss"):
        select_bounds(curves(HILL).drop(columns="loss"), **TRAINING)
    with pytest.raises(InputError, match=r"smith must read .*metric none\. Choose rule calibrated"):
        select_bounds(curves(HILL).drop(columns="accuracy"), **TRAINING)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (np.linspace(1, 0.1, 30), "must not fall .* Received: rates from 1 to 0.1"),
        (np.linspace(-1, 1, 30), "must be above 0 .* Received: rates from -1 to 1"),
        (["fast"] * 30, "must hold numbers. Received: other values in lr"),
    ],
    ids=["fall", "negative", "words"],
)
def test_rates_that_do_not_rise_are_refused(rates, message):
    with pytest.raises(InputError, match=message):
        Curves(pd.DataFrame({"seed": 0, "step": range(30), "lr": rates, "loss": 1.0}))


def test_seeds_without_an_end_are_left_out_and_named():
    rising = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0, 1]), rising])
    bounds = select_bounds(table, initial_accuracy=BEFORE | {7: 0.1}, **TRAINING)
    assert any("both bounds: 7." in warning for warning in bounds.warnings)
    assert bounds.interval["per_seed"][-1]["max_lr"] is None
    assert decades(bounds.max_lr, 10**-2) < HALF_WINDOW


def test_half_of_the_seeds_are_not_enough():
    rising = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0]), rising])
    with pytest.raises(InputError, match=r"no end .* 1 of 2 seeds"):
        select_bounds(table, initial_accuracy={0: 0.1, 7: 0.1}, **TRAINING)


def test_seeds_that_miss_different_ends_are_counted_by_end():
    no_end = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    no_start = one_curve(([-5, -2, -1, 0], [0.8, 0.9, 0.9, 0.1]), seed=8)
    table = pd.concat([curves(HILL, seeds=[0, 1]), no_end, no_start])
    with pytest.raises(
        InputError,
        match=r"both ends .* no start in 1 and no end in 1 of 4 seeds .* or raise steps\.",
    ):
        select_bounds(table, initial_accuracy=BEFORE | {7: 0.1, 8: 0.1}, **TRAINING)


def test_one_seed_has_no_spread():
    bounds = select_bounds(curves(HILL, seeds=[3]), initial_accuracy=BEFORE, **TRAINING)
    assert bounds.interval["max_lr"]["spread_decades"] is None


def test_the_reasons_name_each_seed_and_both_bounds():
    bounds = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    assert f"base_lr {bounds.base_lr:g}, max_lr {bounds.max_lr:g}" in bounds.reasons[0]
    assert [reason.split(":")[0] for reason in bounds.reasons[1:]] == [
        *(f"Seed {i}" for i in range(5)),
        "step_size is 600 steps",
    ]


def test_clear_bounds_have_no_warnings():
    assert select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING).warnings == []


def test_short_half_cycles_few_cycles_and_a_wide_spread_give_warnings():
    apart = [
        one_curve(([-5, -4 + d, -2 + d, -1 + d, 0.5], [0.1, 0.1, 0.9, 0.9, 0.1]), seed=seed)
        for seed, d in enumerate((-0.5, 0, 0.5))
    ]
    bounds = select_bounds(
        pd.concat(apart), initial_accuracy=BEFORE, cycles=2, total_steps=2000, steps_per_epoch=300
    )
    assert len(bounds.warnings) == 3
    for warning, word in zip(bounds.warnings, ("base_lr", "max_lr", "1.67"), strict=True):
        assert word in warning
    assert bounds.interval["base_lr"]["spread_decades"] == pytest.approx(0.5, abs=0.05)


def test_a_training_too_short_for_its_cycles_is_refused():
    with pytest.raises(InputError, match=r"total_steps=5.*cycles=3"):
        select_bounds(curves(HILL), cycles=3, total_steps=5, steps_per_epoch=5)


def test_the_step_size_follows_from_the_known_length():
    table = curves(HILL)
    given = select.select_bounds(Curves(table), epochs=12, steps_per_epoch=300)
    assert (given.step_size, given.steps_per_epoch) == (600, 300)
    assert select_bounds(table, epochs=12, steps_per_epoch=300).step_size == 600
    assert select_bounds(table, steps_per_epoch=300).step_size == 2 * 300
    assert select_bounds(table, total_steps=600).step_size == 100
    unknown = select_bounds(table)
    assert unknown.step_size is None
    assert "step_size is unknown" in unknown.reasons[-1]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epochs": -5}, r"epochs must be a whole number of at least 1\. Received: -5"),
        ({"epochs": 2.5, "steps_per_epoch": 9}, r"Received: 2\.5"),
        ({"total_steps": 0}, r"total_steps must be .* Received: 0"),
        ({"cycles": 0}, r"cycles must be a whole number of at least 1\. Received: 0"),
        ({"steps_per_epoch": 0}, r"steps_per_epoch must be .* Received: 0"),
        ({"epochs": 12, "total_steps": 600}, r"epochs=12, total_steps=600\. Leave one out"),
        (
            {"epochs": 12},
            r"steps_per_epoch must be known .* epochs=12, .* Give steps_per_epoch, or total",
        ),
    ],
    ids=str,
)
def test_a_length_that_breaks_its_rule_is_refused(training, message):
    with pytest.raises(InputError, match=message):
        select_bounds(curves(HILL), **training)


@pytest.mark.parametrize(
    ("rule", "training", "expected"),
    [
        (
            "smith",
            TRAINING,
            """
            base_lr {0.base_lr:g}, max_lr {0.max_lr:g}
            3 cycles, step_size 600 steps (half a cycle)
            over the seeds: base_lr 0.000169 to 0.000169 (standard deviation 0.00 decades), max_lr
            rule smith: base_lr is where accuracy starts to rise, max_lr where its rise ends
            no warnings""",
        ),
        (
            "thirds",
            {"cycles": 1, "total_steps": 30, "steps_per_epoch": 30},
            """
            base_lr {0.base_lr:g}, max_lr {0.max_lr:g}
            1 cycle, step_size 15 steps (half a cycle)
            over the seeds: max_lr {1[low]:g} to {1[high]:g} (standard deviation
            rule thirds: max_lr is the largest rate that still converges; base_lr is max_lr / 3
            warning: The run has 1 cycle; Smith advises 3 or more. Half a cycle is 0.5 epochs;""",
        ),
        (
            "steep",
            {},
            """
            base_lr {0.base_lr:g}, max_lr {0.max_lr:g}
            3 cycles, step_size unknown
            over the seeds: max_lr {1[low]:g} to {1[high]:g} (standard deviation
            rule steep: max_lr is the rate that another tool suggests; base_lr is max_lr / 40
            no warnings""",
        ),
    ],
)
def test_bounds_are_printed_in_five_lines(rule, training, expected):
    bounds = select_bounds(curves(HILL), rule=rule, initial_accuracy=BEFORE, **training)
    lines = str(bounds).splitlines()
    begins = dedent(expected).strip().format(bounds, bounds.interval["max_lr"]).splitlines()
    assert len(lines) == len(begins) == 5
    for line, begin in zip(lines, begins, strict=True):
        assert line.startswith(begin)


def test_a_derived_base_lr_is_said_to_be_derived_and_never_warned_of():
    apart = [
        one_curve(([-5, -4 + d, -2 + d, d, 1], HILL[1]), seed=s) for s, d in enumerate((-1, 0))
    ]
    bounds = select_bounds(pd.concat(apart), rule="calibrated")
    assert bounds.ratio == 40
    assert bounds.base_lr == pytest.approx(bounds.max_lr / 40, rel=0.005)
    assert [reason for reason in bounds.reasons if "base_lr is" in reason] == [
        "base_lr is max_lr / 40."
    ]
    (wide,) = [warning for warning in bounds.warnings if "differs between the seeds" in warning]
    assert wide.startswith("max_lr")
    assert select_bounds(curves(HILL), initial_accuracy=BEFORE).ratio is None


def test_a_notebook_shows_bounds_and_curves_in_one_short_line():
    table = curves(HILL)
    bounds = select_bounds(table, initial_accuracy=BEFORE, **TRAINING)
    assert repr(bounds) == (
        f"Bounds(base_lr={bounds.base_lr}, max_lr={bounds.max_lr}, cycles=3, step_size=600, "
        "rule='smith', status='ok', steps_per_epoch=300)"
    )
    assert repr(Curves(table, notes=["a note"])) == (
        "Curves(5 seeds, 2,020 steps, rates 1e-05 to 1, metric='accuracy', 1 note)"
    )


@pytest.mark.parametrize("given", [None, "curves.csv", {"lr": [1]}, pd.DataFrame({"lr": [1]})])
def test_what_is_no_curves_is_refused(given):
    with pytest.raises(
        InputError, match=r"curves must be the result of range_test.*Received: \w+\."
    ):
        select.select_bounds(given)


def test_an_unknown_rule_lists_the_known_ones():
    with pytest.raises(InputError, match=r"rule must be one of .*smith.*Received: 'guess'"):
        select_bounds(curves(HILL), rule="guess", **TRAINING)


def test_a_rule_of_one_rate_that_finds_none_is_refused_without_a_start_or_an_end():
    falling = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    with pytest.raises(InputError, match=r"^Rule thirds .*no rate in 5 of 5 seeds ") as refused:
        select_bounds(falling, rule="thirds", **TRAINING)
    assert "the loss still converges at the last rate, 0.1" in str(refused.value)
    assert "start" not in str(refused.value)


def test_a_seed_without_a_rate_gives_its_reason_once():
    falling = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0, 1]), falling])
    bounds = select_bounds(table, rule="thirds", **TRAINING)
    (reason,) = [reason for reason in bounds.reasons if reason.startswith("Seed 7")]
    assert reason == "Seed 7: the loss still converges at the last rate, 0.1: sweep further up."
    assert "both bounds: 7." in bounds.warnings[0]


def test_every_rule_can_be_configured_and_no_other():
    assert [rule.value for rule in RuleName] == list(RULES)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"smith"}))
def test_every_rule_finds_rates_on_the_slope_of_a_plain_curve(rule):
    # Falls from 1e-4 to 1e-2, rises from 1e-1 on: no rule has a reason to leave that stretch.
    bounds = select_bounds(curves(HILL, noise=0.0), rule=rule, **TRAINING)
    assert 10**-4.5 < bounds.max_lr < 1
    assert bounds.base_lr < bounds.max_lr
