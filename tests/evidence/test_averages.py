"""Averages of the weights are arms of their own, paired with the trained weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lrcycles.cells.result import AverageResult, read_result, write_result
from lrcycles.errors import InputError
from lrcycles.evidence.arms import Arm, read_arms
from lrcycles.evidence.comparisons import compare_averages
from lrcycles.evidence.families import Family, Outcome
from lrcycles.evidence.gather import gather
from tests.cell_results import cell_result
from tests.report_inputs import REPORT, TEST_IMAGES, arm, mistakes, tutorial_arms, write_artifacts

SEEDS = range(8)
LEVEL = {seed: 1.8 + 0.02 * (seed % 5) for seed in SEEDS}


def with_ema(name: str, gain: float, **planted: Any) -> Arm:
    """An arm whose moving average makes `gain` points fewer errors in every seed."""
    trained = arm(name, LEVEL, **planted)
    errors = {seed: round(error - gain, 2) for seed, error in LEVEL.items()}
    average = arm(f"{name}.ema", errors, trained_as=name, **planted)
    return replace(trained, averages={"ema": replace(average, average="ema")})


def test_an_average_is_judged_against_its_own_training_in_a_family_of_averages():
    arms = {"a": with_ema("a", 0.2), "b": with_ema("b", 0.0), "c": arm("c", LEVEL)}
    found = compare_averages(arms, list(arms), margin=0.05)
    assert found is not None
    assert [(one.title, one.family) for one in found.own] == [
        ("a.ema vs a", Family.AVERAGES),
        ("b.ema vs b", Family.AVERAGES),
    ]
    better, same = found.own
    assert better.outcome == Outcome.BETTER
    assert better.estimate is not None
    assert better.estimate.mean == pytest.approx(-0.2)
    assert not same.outcome.is_better
    assert found.arms["a.ema"].label == "a (EMA)"


def test_an_average_stands_beside_a_linear_decay_of_equal_length_without_a_verdict():
    decay = with_ema("decay", 0.1, schedule="linear_decay", base_lr=0.0, max_lr=0.01)
    arms = {"a": with_ema("a", 0.2), "long": with_ema("long", 0.2, epochs=20), "decay": decay}
    found = compare_averages(arms, list(arms), margin=0.05)
    assert found is not None
    assert [(one.title, one.outcome) for one in found.decays] == [
        ("a.ema vs decay", Outcome.NO_VERDICT)
    ]


def test_arms_without_averages_have_none():
    assert compare_averages({"a": arm("a", LEVEL)}, ["a"], margin=0.05) is None


def test_averages_are_read_beside_the_trained_weights_and_change_no_other_verdict(tmp_path):
    root = write_artifacts(tmp_path / "artifacts", tutorial_arms(gain=0.2))
    before = gather(root, REPORT)
    for seed in SEEDS:
        folder = root / "train/clr/clr" / str(seed)
        result = read_result(folder / "result.json")
        error = round((result.test_error_percent or 0) - 0.1, 2)
        average = AverageResult(
            settings={"decay": 0.99},
            test_error_percent=error,
            test_loss=0.1,
            validation_error_percent=1.0,
            validation_loss=0.1,
        )
        write_result(folder / "result.json", replace(result, averages={"ema": average}))
        wrong = mistakes("clr", seed, error, TEST_IMAGES)
        np.save(folder / "correct_ema.npy", np.packbits(~wrong))
    found = gather(root, REPORT)
    assert found.comparisons == before.comparisons
    assert found.averages is not None
    assert [one.title for one in found.averages.own] == ["clr.ema vs clr"]
    assert found.averages.own[0].estimate is not None
    assert found.averages.own[0].estimate.mean == pytest.approx(-0.1)
    averaged = read_arms(root / "train")["clr"].averages["ema"]
    assert averaged.mistakes[3].sum() == round(averaged.cells[3].test_error_percent * 100)


def test_a_result_with_an_unknown_average_is_refused():
    scores = dict.fromkeys(
        ("test_error_percent", "test_loss", "validation_error_percent", "validation_loss")
    )
    averages = {"../x": AverageResult(settings={}, **scores)}
    with pytest.raises(InputError, match=r"some of ema, last\. Received: '\.\./x'"):
        cell_result(averages=averages)
