"""Are the bounds of hand-made curves found where the curves were bent?"""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from lrcycles.bounds import select
from lrcycles.bounds.select import RULES, Bounds
from lrcycles.config.schema import RuleName
from lrcycles.errors import InputError
from lrcycles.range_tests.curves import Curves

HALF_WINDOW = 0.25  # decades: a window is ten of a hundred measurements over five decades
TRAINING = {"cycles": 3, "total_steps": 3600, "steps_per_epoch": 300}
BEFORE = dict.fromkeys(range(5), 0.1)


def select_bounds(
    table, *, rule="smith", initial_accuracy=None, steps_per_epoch=None, **training
) -> Bounds:
    curves = Curves(table, initial_metric=initial_accuracy or {}, steps_per_epoch=steps_per_epoch)
    return select.select_bounds(curves, rule=rule, **training)


# log10 of the rate, accuracy: flat, rise, plateau, fall.
HILL = ([-5, -4, -2, -1, 0], [0.1, 0.1, 0.9, 0.9, 0.1])


def one_curve(corners, *, seed=0, noise=0.004, count=101, every=4):
    """Accuracy along straight lines between `corners`, measured every few of the steps."""
    steps = np.arange(1, every * count + 1)
    exponent = np.linspace(corners[0][0], corners[0][-1], len(steps))
    random = np.random.default_rng(seed)
    accuracy = np.interp(exponent, *corners) + noise * random.normal(size=len(steps))
    loss = 2.3 * (1 - np.interp(exponent, *corners))
    accuracy[steps % every != 0] = np.nan
    return pd.DataFrame(
        {"seed": seed, "step": steps, "lr": 10**exponent, "loss": loss, "accuracy": accuracy}
    )


def curves(corners, seeds=range(5), **settings):
    return pd.concat([one_curve(corners, seed=seed, **settings) for seed in seeds])


def decades(rate, expected):
    return abs(math.log10(rate / expected))


def test_base_lr_is_where_a_tenth_of_the_climb_is_done_and_max_lr_where_it_ends():
    found = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.base_lr, 10**-3.8) < 0.06
    assert decades(found.max_lr, 10**-2) < HALF_WINDOW
    for key in ("base_lr", "max_lr"):
        assert found.interval[key]["spread_decades"] < 0.15
        assert found.interval[key]["low"] <= getattr(found, key) <= found.interval[key]["high"]


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.02])
def test_the_bounds_hardly_move_with_the_noise_of_the_accuracy(noise):
    found = select_bounds(curves(HILL, noise=noise), initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.base_lr, 10**-3.8) < 0.15
    assert decades(found.max_lr, 10**-2) < HALF_WINDOW


def test_the_file_has_the_agreed_keys_and_plain_values():
    found = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING).to_dict()
    assert set(json.loads(json.dumps(found, allow_nan=False))) == {
        *("schema", "base_lr", "max_lr", "cycles", "step_size", "rule", "status"),
        *("reasons", "warnings", "interval", "steps_per_epoch"),
    }
    assert set(found["interval"]) == {"base_lr", "max_lr", "per_seed"}
    assert [set(entry) for entry in found["interval"]["per_seed"]] == [
        {"seed", "base_lr", "max_lr"}
    ] * 5
    assert (found["status"], found["rule"], found["step_size"]) == ("ok", "smith", 600)


def test_rates_have_three_significant_digits():
    found = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    for rate in (found.base_lr, found.max_lr):
        assert rate == float(f"{rate:.2e}")


def test_the_bound_is_the_median_over_the_seeds_on_the_logarithmic_scale():
    found = select_bounds(curves(HILL, seeds=range(4)), initial_accuracy=BEFORE, **TRAINING)
    each = [entry["max_lr"] for entry in found.interval["per_seed"]]
    assert_allclose(found.max_lr, math.sqrt(sorted(each)[1] * sorted(each)[2]), rtol=0.01)
    spread = found.interval["max_lr"]["spread_decades"]
    assert_allclose(spread, np.std(np.log10(each), ddof=1), atol=0.002)


def test_the_order_of_rows_and_seeds_does_not_matter():
    table = curves(HILL)
    shuffled = table.sample(frac=1, random_state=0)
    assert select_bounds(shuffled, initial_accuracy=BEFORE, **TRAINING) == select_bounds(
        table, initial_accuracy=BEFORE, **TRAINING
    )


def test_a_rest_half_way_up_is_not_taken_for_the_top():
    stairs = ([-5, -4.5, -4, -3, -2, -1, 0], [0.1, 0.1, 0.5, 0.5, 0.9, 0.9, 0.1])
    found = select_bounds(curves(stairs), initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.max_lr, 10**-2) < HALF_WINDOW


def test_accuracy_that_becomes_ragged_ends_the_range_though_it_still_rises():
    slow = ([-5, -4, -2.5, 0], [0.1, 0.1, 0.85, 0.95])
    table = curves(slow, noise=0.0005)
    late = table["lr"] > 10**-1.5
    table.loc[late, "accuracy"] += 0.03 * np.random.default_rng(9).normal(size=late.sum())
    found = select_bounds(table, initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.max_lr, 10**-1.5) < 2 * HALF_WINDOW
    assert "ragged" in " ".join(found.reasons)


def test_a_sharp_fall_at_the_end_gives_the_rate_of_the_best_accuracy():
    peak = ([-5, -4, -0.3, 0], [0.1, 0.1, 0.9, 0.3])
    found = select_bounds(curves(peak), initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.max_lr, 10**-0.3) < HALF_WINDOW
    assert "before it fell" in " ".join(found.reasons)


@pytest.mark.parametrize("last", [math.nan, math.inf])
def test_a_sweep_that_blew_up_ends_the_range_at_its_best_accuracy(last):
    table = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    table.loc[table["step"] == table["step"].max(), ["loss", "accuracy"]] = last, math.nan
    found = select_bounds(table, initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.max_lr, 10**-1) < HALF_WINDOW
    assert "blew up" in " ".join(found.reasons)


def test_accuracy_at_chance_long_after_the_fall_changes_nothing():
    long = ([-5, -4, -2, -1, 0, 2], [0.1, 0.1, 0.9, 0.9, 0.1, 0.1])
    found = select_bounds(curves(long, count=141), initial_accuracy=BEFORE, **TRAINING)
    assert decades(found.base_lr, 10**-3.8) < 0.06
    assert decades(found.max_lr, 10**-2) < HALF_WINDOW * 1.4


def test_a_curve_that_still_rises_has_no_end_and_says_what_to_change():
    rising = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    with pytest.raises(
        InputError,
        match=r"no end .* 5 of 5 seeds .* over rates 1e-05 to 0\.1.*raise its max_lr",
    ):
        select_bounds(rising, initial_accuracy=BEFORE, **TRAINING)


def test_a_curve_that_rises_from_the_first_has_no_start_and_says_what_to_change():
    late = curves(([-3, -2, -1, 0], [0.5, 0.9, 0.9, 0.1]))
    with pytest.raises(InputError, match=r"no start .*had begun.*lower its min_lr"):
        select_bounds(late, initial_accuracy=BEFORE, **TRAINING)
    with pytest.raises(InputError, match=r"no start .*had begun.*lower its min_lr"):
        select_bounds(late, **TRAINING)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_network_that_never_learns_has_no_start(noise):
    flat = curves(([-5, 0], [0.1, 0.1]), noise=noise)
    with pytest.raises(InputError, match=r"never rose beyond its noise.*change its min_lr"):
        select_bounds(flat, initial_accuracy=BEFORE, **TRAINING)


def test_a_sweep_that_diverges_at_once_has_no_start():
    table = curves(HILL)
    table = table[table["step"] <= 4].assign(loss=math.nan, accuracy=math.nan)
    with pytest.raises(InputError, match="only 0 held-out accuracies were measured"):
        select_bounds(table, initial_accuracy=BEFORE, **TRAINING)


def test_empty_or_incomplete_curves_are_refused():
    with pytest.raises(InputError, match="curves are empty"):
        select_bounds(curves(HILL)[:0], **TRAINING)
    with pytest.raises(InputError, match="missing loss"):
        select_bounds(curves(HILL).drop(columns="loss"), **TRAINING)
    with pytest.raises(InputError, match="only 0 held-out accuracies were measured"):
        select_bounds(curves(HILL).drop(columns="accuracy"), **TRAINING)


def test_a_flat_beginning_replaces_the_accuracy_before_the_first_step():
    found = select_bounds(curves(HILL), **TRAINING)
    assert decades(found.base_lr, 10**-3.8) < 0.06


def test_seeds_without_an_end_are_left_out_and_named():
    rising = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0, 1]), rising])
    found = select_bounds(table, initial_accuracy=BEFORE | {7: 0.1}, **TRAINING)
    assert any("seeds 7" in warning for warning in found.warnings)
    assert found.interval["per_seed"][-1]["max_lr"] is None
    assert decades(found.max_lr, 10**-2) < HALF_WINDOW


def test_half_of_the_seeds_are_not_enough():
    rising = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0]), rising])
    with pytest.raises(InputError, match=r"no end .* 1 of 2 seeds"):
        select_bounds(table, initial_accuracy={0: 0.1, 7: 0.1}, **TRAINING)


def test_one_seed_has_no_spread():
    found = select_bounds(curves(HILL, seeds=[3]), initial_accuracy=BEFORE, **TRAINING)
    assert found.interval["max_lr"]["spread_decades"] is None


def test_the_reasons_name_each_seed_and_both_bounds():
    found = select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)
    assert f"base_lr {found.base_lr:g}, max_lr {found.max_lr:g}" in found.reasons[0]
    assert [reason.split(":")[0] for reason in found.reasons[1:]] == [
        *(f"seed {i}" for i in range(5)),
        "step_size 600",
    ]


def test_a_calm_choice_has_no_warnings():
    assert select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING).warnings == []


def test_short_half_cycles_few_cycles_and_wide_spread_are_warned_of():
    apart = [
        one_curve(([-5, -4 + d, -2 + d, -1 + d, 0.5], [0.1, 0.1, 0.9, 0.9, 0.1]), seed=seed)
        for seed, d in enumerate((-0.5, 0, 0.5))
    ]
    found = select_bounds(
        pd.concat(apart), initial_accuracy=BEFORE, cycles=2, total_steps=2000, steps_per_epoch=300
    )
    assert [warning.split(" ")[0] for warning in found.warnings] == [
        "base_lr",
        "max_lr",
        "The",
        "Half",
    ]
    assert found.interval["base_lr"]["spread_decades"] == pytest.approx(0.5, abs=0.05)
    assert "Half a cycle is 1.67 epochs; Smith advises 2 to 10" in found.warnings[-1]


def test_a_training_too_short_for_its_cycles_is_refused():
    with pytest.raises(InputError, match="total_steps=5, cycles=3"):
        select_bounds(curves(HILL), cycles=3, total_steps=5, steps_per_epoch=5)


def test_the_step_size_follows_from_what_is_known_of_the_length():
    table = curves(HILL)
    assert select_bounds(table, epochs=12, steps_per_epoch=300).step_size == 600
    assert select_bounds(table, steps_per_epoch=300).step_size == 2 * 300
    assert select_bounds(table, total_steps=600).step_size == 100
    unknown = select_bounds(table)
    assert unknown.step_size is None
    assert "step_size is not known" in unknown.reasons[-1]


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
            r"steps_per_epoch must be known .* epochs=12, .* Give total_steps instead",
        ),
    ],
    ids=str,
)
def test_a_length_that_breaks_its_rule_is_refused(training, message):
    with pytest.raises(InputError, match=message):
        select_bounds(curves(HILL), **training)


def test_bounds_print_as_sentences():
    lines = str(select_bounds(curves(HILL), initial_accuracy=BEFORE, **TRAINING)).splitlines()
    assert lines[0].endswith("3 cycles, step_size 600 steps (rule: smith)")
    assert lines[2].startswith("max_lr over the seeds: ")


def test_an_unknown_rule_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown rule 'guess' for bounds: need one of .*smith"):
        select_bounds(curves(HILL), rule="guess", **TRAINING)


def test_a_rule_of_one_rate_that_has_none_says_so_without_a_start_or_an_end():
    falling = curves(([-5, -4, -1], [0.1, 0.1, 0.9]))
    with pytest.raises(InputError, match=r"^rule thirds has no answer in 5 of 5 seeds ") as refused:
        select_bounds(falling, rule="thirds", **TRAINING)
    assert "the loss still converges at the last rate, 0.1" in str(refused.value)
    assert "start" not in str(refused.value)


def test_a_seed_without_an_answer_gives_its_one_reason_once():
    falling = one_curve(([-5, -4, -1], [0.1, 0.1, 0.9]), seed=7)
    table = pd.concat([curves(HILL, seeds=[0, 1]), falling])
    found = select_bounds(table, rule="thirds", **TRAINING)
    (reason,) = [reason for reason in found.reasons if reason.startswith("seed 7")]
    assert reason == "seed 7: the loss still converges at the last rate, 0.1: sweep further up"
    assert "seeds 7" in found.warnings[0]


def test_every_rule_can_be_configured_and_no_other():
    assert [rule.value for rule in RuleName] == list(RULES)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"smith"}))
def test_every_rule_finds_rates_on_the_slope_of_a_plain_curve(rule):
    # Falls from 1e-4 to 1e-2, rises from 1e-1 on: no rule has a reason to leave that stretch.
    found = select_bounds(curves(HILL, noise=0.0), rule=rule, **TRAINING)
    assert 10**-4.5 < found.max_lr < 1
    assert found.base_lr < found.max_lr
