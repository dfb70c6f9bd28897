"""The rules suggest the rates that the tools themselves suggest, and give a reason."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.peer_rules_check import CURVES, FILE, ours
from lrcycles.bounds.peers import PEER_RULES, peer_suggestions
from lrcycles.bounds.thirds import thirds
from lrcycles.errors import InputError

ANSWERS = json.loads(FILE.read_text())["points"]
RATES = np.geomspace(1e-6, 1.0, 121)  # twenty points a decade


@pytest.fixture(scope="module")
def own_answers():
    return [ours(seed) for seed in range(CURVES)]


@pytest.mark.parametrize("name", PEER_RULES)
def test_each_rule_chooses_the_point_that_the_real_tool_chose(name, own_answers):
    assert [answers[name] for answers in own_answers] == ANSWERS[name]


def test_the_real_answers_hold_rates_and_refusals():
    none = sum(answers.count(None) for answers in ANSWERS.values())
    assert 50 < none < 500
    assert set(ANSWERS) == set(PEER_RULES)


def noisy_curve(seed):
    """A loss that is steepest at 1e-2 over the log of the rate and rises near 1; noise 0.1."""
    exponent = np.linspace(-7, 1, 100)
    loss = 2.3 - 2 / (1 + np.exp(-(exponent + 2) / 0.3)) + 10 ** (2 * exponent)
    return 10**exponent, loss + 0.1 * np.random.default_rng(seed).normal(size=100)


def test_on_one_noisy_shape_the_medians_differ_as_they_did_for_others():
    answers = [
        {name: rule(*noisy_curve(seed)).lr for name, rule in PEER_RULES.items()}
        for seed in range(200)
    ]

    def off(name, rate):
        return abs(np.log10(np.median([answer[name] for answer in answers]) / rate))

    # Published for the same steepest point and noise, on a shape that is not given in full.
    for name, rate in {"valley": 1e-2, "slide": 1.8e-2, "steep": 3.1e-2, "minimum": 8.9e-2}.items():
        assert off(name, rate) < 0.2
    # Published as 6e-7, the first rate after the ten it skips: by an average that starts at the
    # first loss. The tool's own starts at half of it and rises, so its noise wins a decade later.
    assert 6e-7 < np.median([answer["lightning"] for answer in answers]) < 1e-4


def test_lightning_takes_the_noise_of_the_smallest_rates_for_the_steepest_fall():
    rule = PEER_RULES["lightning"]
    smooth_already = [
        rule(lr, PEER_RULES["valley"].tool.average.smooth(loss), smoothed=True).lr
        for lr, loss in map(noisy_curve, range(200))
    ]
    rates, times = np.unique(smooth_already, return_counts=True)
    assert rates[times.argmax()] == pytest.approx(6e-7, rel=0.1)  # as published
    assert abs(np.log10(np.median(smooth_already) / 6e-7)) < 0.2


def bowl(bottom=60, *, points=121):
    """A smoothed loss that falls in a straight line to `bottom` and rises from there."""
    return 1 + np.abs(np.arange(points) - bottom) / 100


def test_rules_of_the_least_loss_give_a_tenth_of_its_rate():
    for name in ("minimum", "ktrain_minimum"):
        assert PEER_RULES[name](RATES, bowl(), smoothed=True).lr == pytest.approx(1e-4)


def test_the_valley_lies_in_the_middle_of_the_fall():
    rate = PEER_RULES["valley"](RATES, bowl(), smoothed=True).lr
    assert rate == pytest.approx(RATES[(12 + 60) // 2], rel=0.13)  # a point more or less


def test_the_steepest_fall_is_found_where_it_was_put():
    loss = bowl()
    loss[40:] -= 0.05  # the step from 39 to 40 falls six times as much as the others
    assert PEER_RULES["steep"](RATES, loss, smoothed=True).lr == RATES[39]
    for name in ("torch_lr_finder", "ignite"):  # their slopes span two steps
        assert PEER_RULES[name](RATES, loss, smoothed=True).lr in RATES[39:41]


def test_ktrain_answers_32_points_too_early():
    loss = bowl(bottom=100)
    loss[80:] -= 0.05
    assert PEER_RULES["ktrain"](RATES, loss, smoothed=True).lr in RATES[79 - 32 : 81 - 32]


def test_a_sweep_ends_where_the_tool_stops_it():
    loss = np.where(np.arange(121) < 90, bowl(), 50.0)
    unseen = np.where(np.arange(121) > 90, 0.1, loss)  # by far the least
    for rule in PEER_RULES.values():
        assert rule.tool.records(unseen, smoothed=True).tolist() == loss[:91].tolist()
        assert rule(RATES, unseen, smoothed=True).lr == rule(RATES, loss, smoothed=True).lr
    assert PEER_RULES["minimum"](RATES, unseen, smoothed=True).lr == pytest.approx(1e-4)


def test_a_history_that_its_tool_has_stopped_stays_whole():
    _, raw = noisy_curve(0)
    for rule in PEER_RULES.values():
        seen = rule.tool.records(np.append(raw, 1e3 * np.ones(100)))
        assert 80 < len(seen) < 120
        assert np.array_equal(rule.tool.records(seen, smoothed=True), seen)


@pytest.mark.parametrize("loss", [np.nan, np.inf, -1.0, 0.0, 1.0])
@pytest.mark.parametrize("points", [1, 2, 5, 12, 20, 60])
@pytest.mark.parametrize("name", PEER_RULES)
def test_no_answer_is_left_without_a_reason(name, points, loss):
    suggestion = PEER_RULES[name](RATES[:points], np.full(points, loss))
    assert suggestion.reason
    assert suggestion.rule == name
    assert suggestion.lr is None or suggestion.lr > 0


def test_the_reason_names_that_the_tool_stopped_before_its_rule_had_enough_points():
    suggestion = PEER_RULES["torch_lr_finder"](RATES, np.where(np.arange(121) < 9, 1.0, 1e4))
    assert suggestion.lr is None
    assert "10 points were recorded, 17 are needed (the tool stops at 5 times" in suggestion.reason


def test_a_loss_that_never_falls_is_named_with_the_rate():
    rising = PEER_RULES["valley"](RATES, np.linspace(1, 2, 121))
    assert rising.lr == RATES[12]
    assert "never falls" in rising.reason


def test_a_loss_that_became_nan_is_named_with_the_rate():
    loss = np.where(np.arange(121) < 80, 2.0, np.nan)
    for name in ("torch_lr_finder", "ignite"):
        suggestion = PEER_RULES[name](RATES, loss)
        assert suggestion.lr == RATES[79]
        assert "nan" in suggestion.reason


@pytest.mark.parametrize("suggest", [PEER_RULES["valley"], thirds], ids=["valley", "thirds"])
def test_two_sweeps_after_each_other_are_refused(suggest):
    with pytest.raises(InputError, match=r"rise from step to step\. Received: 1e-06 at point 122"):
        suggest(np.tile(RATES, 2), np.ones(242))
    with pytest.raises(InputError, match=r"shapes \(121,\) and \(120,\)"):
        suggest(RATES, np.ones(120))


def planted(noise=0.0, *, rise_at=1e-1):
    """A loss of 2.3 that falls to 0.3 at 1e-3 and rises by one per point from `rise_at` on."""
    loss = np.interp(np.log10(RATES), [-6, -5, -3, 0], [2.3, 2.3, 0.3, 0.3])
    loss += noise * np.random.default_rng(0).normal(size=len(RATES))
    return loss + np.cumsum(rise_at < RATES)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_the_largest_converging_rate_is_where_the_loss_begins_to_rise(noise):
    suggestion = thirds(RATES, planted(noise))
    assert suggestion.lr is not None
    assert abs(np.log10(suggestion.lr / 1e-1)) < 0.11  # two points


def test_a_loss_that_becomes_nan_no_longer_converges():
    loss = np.where(RATES > 1e-1, np.nan, planted())
    assert thirds(RATES, loss).lr == pytest.approx(1e-1, rel=0.3)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (planted(rise_at=10.0), "still converges at the last rate, 1"),
        (np.full(121, 2.3), "never falls"),
        (np.full(121, np.nan), "not finite at the first rates"),
        (np.linspace(1.0, 9.0, 121), "never falls"),
    ],
    ids=["no end", "flat", "lost", "rising"],
)
def test_without_a_largest_converging_rate_the_reason_is_named(loss, reason):
    suggestion = thirds(RATES, loss)
    assert suggestion.lr is None
    assert reason in suggestion.reason


def test_too_few_points_are_named():
    assert "19 points" in thirds(RATES[:19], np.ones(19)).reason


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_all_rules_together_suggest_what_each_suggests_alone(noise):
    loss = planted(noise)
    alone = [rule(RATES, loss) for rule in PEER_RULES.values()]
    assert peer_suggestions(RATES, loss) == alone
