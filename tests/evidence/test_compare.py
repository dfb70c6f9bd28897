"""Tests the comparison of two folders of results, made of small real files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrcycles import files
from lrcycles.cells.result import write_result
from lrcycles.errors import InputError
from lrcycles.evidence.comparisons import Comparison, Quantity
from lrcycles.evidence.families import Family, Outcome, Reason
from lrcycles.evidence.two_sides import compare_two
from tests.cell_results import cell_result

IMAGES = 2000


def write_side(
    folder: Path,
    wrong: Mapping[str, Mapping[int, int | None]],
    *,
    correct: bool = True,
    **fields: Any,
) -> None:
    """Write a result for each arm and seed, with so many wrong images; None: it diverged."""
    difficulty = np.random.default_rng(1).normal(size=IMAGES)
    rows = []
    for arm, of_seed in wrong.items():
        for seed, count in of_seed.items():
            own = folder / "train/clr" / arm / str(seed)
            luck = np.random.default_rng([zlib.crc32(str(folder.name).encode()), seed])
            order = np.argsort(difficulty + luck.normal(size=IMAGES))
            is_wrong = np.isin(np.arange(IMAGES), order[:count]) if count is not None else None
            result = cell_result(
                group="clr",
                arm=arm,
                seed=seed,
                key=f"{folder.name} {arm} {seed}",
                status="diverged" if is_wrong is None else "finished",
                test_error_percent=None if is_wrong is None else 100 * float(is_wrong.mean()),
                **{"test_images": IMAGES if correct else None, **fields},
            )
            own.mkdir(parents=True)
            write_result(own / "result.json", result)
            files.write_table(own / "steps.parquet", pd.DataFrame({"lr": [0.001, 0.002]}))
            if correct and is_wrong is not None:
                np.save(own / "correct.npy", np.packbits(~is_wrong))
            rows.append(f"{arm},{seed}")
    files.write_text(folder / "train/clr/cells.csv", "\n".join(["arm,seed", *rows, ""]))


def counts(mean: int, seeds: int = 8) -> dict[int, int | None]:
    return {seed: mean + seed * (mean % 7) % 5 for seed in range(seeds)}


def compared(root: Path, first: str, second: str) -> dict[str, Comparison]:
    evidence = compare_two(first, second, root=root, margin_percent=0.05)
    return {one.arm.partition(":")[2]: one for one in evidence.of(Quantity.ERROR)}


def test_one_arm_of_each_side_is_a_primary_comparison_that_eight_seeds_decide(tmp_path):
    write_side(tmp_path / "a", {"clr": counts(100), "other": counts(100)})
    write_side(tmp_path / "b", {"clr": counts(40)})
    one = compared(tmp_path, "a", "b")["clr"]
    assert (one.family, one.seeds, one.outcome) == (Family.PRIMARY, 8, Outcome.BETTER)
    assert one.estimate is not None
    fewer = sum(100 + seed * 2 % 5 - (40 + seed * 5 % 5) for seed in range(8))
    assert one.estimate.mean == pytest.approx(-100 * fewer / 8 / IMAGES)
    assert one.verdict.p == 2 / 2**8
    named = compared(tmp_path, "a:other", "b:clr")["clr"]
    assert (named.family, named.outcome) == (Family.PRIMARY, Outcome.BETTER)


def test_several_arms_are_one_family_and_a_changed_arm_is_found_among_equal_trainings(tmp_path):
    equal = {f"same_{i}": counts(100) for i in range(4)}
    write_side(tmp_path / "a", {"clr": counts(100), **equal})
    write_side(tmp_path / "b", {"clr": counts(40), **equal})
    for arm in equal:  # the very same trainings, of the cell store
        for seed in range(8):
            place = f"train/clr/{arm}/{seed}"
            for name in ("result.json", "correct.npy"):
                (tmp_path / "b" / place / name).write_bytes(
                    (tmp_path / "a" / place / name).read_bytes()
                )
    found = compared(tmp_path, "a", "b")
    assert {one.family for one in found.values()} == {Family.SCHEDULES}
    assert found.pop("clr").outcome == Outcome.BETTER
    assert {one.verdict.reason for one in found.values()} == {Reason.SAME}


def mirrored(one: Comparison) -> dict[str, Any]:
    """What a comparison finds, as its mirror image should find it."""
    words = {"better": "worse", "worse": "better"}
    first, *rest = one.outcome.split(",")
    interval = one.estimate.interval() if one.estimate else None
    return {
        "outcome": ",".join([words.get(first, first), *rest]),
        "reason": one.verdict.reason,
        "differences": {seed: -value for seed, value in one.differences.items()},
        "interval": interval and pytest.approx((-interval[1], -interval[0])),
        "p": one.verdict.p,
        "adjusted": pytest.approx(one.verdict.adjusted_p),
        "failed": one.failed[::-1],
    }


def as_found(one: Comparison) -> dict[str, Any]:
    return {
        "outcome": str(one.outcome),
        "reason": one.verdict.reason,
        "differences": one.differences,
        "interval": one.estimate.interval() if one.estimate else None,
        "p": one.verdict.p,
        "adjusted": one.verdict.adjusted_p,
        "failed": one.failed,
    }


def test_a_and_b_swapped_give_mirrored_results_also_where_runs_fail(tmp_path):
    many = {"far": counts(100), "near": counts(101), "fails": {**counts(60), 3: None, 5: 1800}}
    write_side(tmp_path / "a", many)
    write_side(
        tmp_path / "b", {"far": counts(40), "near": counts(100), "fails": {**counts(90), 5: None}}
    )
    there, back = compared(tmp_path, "a", "b"), compared(tmp_path, "b", "a")
    for arm, one in there.items():
        assert as_found(back[arm]) == mirrored(one), arm
    assert there["fails"].failed == (1, 2)
    assert compared(tmp_path, "b:far", "a:far")["far"].outcome == Outcome.WORSE


def test_results_without_the_mistakes_of_a_side_have_an_interval_and_no_verdict(tmp_path):
    write_side(tmp_path / "a", {"clr": counts(100)}, correct=False)
    write_side(tmp_path / "b", {"clr": counts(40)})
    for first, second in ("ab", "ba"):
        one = compared(tmp_path, first, second)["clr"]
        assert (one.outcome, one.verdict.reason) == (Outcome.NO_VERDICT, Reason.IMAGES_UNKNOWN)
        assert one.estimate is not None
        assert one.estimate.interval() is not None
        assert one.estimate.images_variance is None


def test_other_data_have_no_verdict_because_their_test_images_may_differ(tmp_path):
    write_side(tmp_path / "a", {"clr": counts(100)})
    write_side(tmp_path / "b", {"clr": counts(40)}, data="e" * 64)
    one = compared(tmp_path, "a", "b")["clr"]
    assert (one.outcome, one.verdict.reason) == (Outcome.NO_VERDICT, Reason.IMAGES_UNKNOWN)


@pytest.mark.parametrize(
    ("seeds", "outcome", "reason"),
    [
        (8, Outcome.BETTER, Reason.NONE),
        (7, Outcome.NO_VERDICT, Reason.SEEDS),
        (2, Outcome.NO_VERDICT, Reason.SEEDS),
    ],
)
def test_the_common_seeds_count_where_a_side_has_fewer(tmp_path, seeds, outcome, reason):
    write_side(tmp_path / "a", {"clr": counts(100, 16)})
    write_side(tmp_path / "b", {"clr": counts(40, seeds)})
    one = compared(tmp_path, "a", "b")["clr"]
    assert (one.seeds, one.outcome, one.verdict.reason) == (seeds, outcome, reason)
    assert one.estimate is not None
    assert (one.estimate.interval() is None) == (seeds < 3)


@pytest.mark.parametrize("margin", [0.0, -0.05, 100.0, float("nan"), float("inf")])
def test_a_margin_that_is_no_percentage_is_refused(tmp_path, margin):
    with pytest.raises(InputError, match=r"margin must be above 0 and below 100 .* Received: "):
        compare_two("a", "b", root=tmp_path, margin_percent=margin)
