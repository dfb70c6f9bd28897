"""Do the effects of factors agree with adding the factors in every order?"""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from lrcycles.evidence.factorial import split
from studies.verdicts.trainings import make_arm

FACTORS = ("longer", "batch", "rising")
SETS = [frozenset(s) for k in range(4) for s in combinations(FACTORS, k)]


def factorial_arms(effect, seeds=12, images=500):
    """Make an arm for each set of factors, with the probability of a mistake that it has."""
    rng = np.random.default_rng(0)
    return {
        "+".join(sorted(own)) or "none": make_arm(
            "+".join(sorted(own)) or "none", rng.random((seeds, images)) < effect(own)
        )
        for own in SETS
    }


def named(arms):
    return {name: [] if name == "none" else name.split("+") for name in arms}


def interacting(own):
    return 0.3 - 0.1 * ("longer" in own) - 0.08 * ({"longer", "batch"} <= own)


def test_an_effect_is_the_mean_over_all_orders_of_adding_the_factors():
    arms = factorial_arms(interacting)
    found = split(arms, named(arms), 0.05)

    def error(own):
        cells = arms["+".join(sorted(own)) or "none"].cells.values()
        return np.array([cell.test_error_percent for cell in cells])

    for effect in found.effects:
        changes = []
        for order in permutations(FACTORS):
            before = set(order[: order.index(effect.factor)])
            changes.append(error(before | {effect.factor}) - error(before))
        by_seed = np.mean(changes, axis=0)
        assert effect.by_seed == pytest.approx(by_seed)
        assert effect.estimate.mean == pytest.approx(by_seed.mean())
        assert effect.estimate.sd == pytest.approx(by_seed.std(ddof=1))
    assert sum(one.estimate.mean for one in found.effects) == pytest.approx(
        found.whole.estimate.mean
    )
    assert sum(one.share[0] for one in found.effects) == pytest.approx(100)
    assert all(low < share < high for share, (low, high) in (e.share for e in found.effects))


def test_a_change_that_is_uncertain_or_too_small_has_no_shares():
    arms = factorial_arms(lambda _: 0.3)
    assert [one.share for one in split(arms, named(arms), 0.05).effects] == [None] * 3
    arms = factorial_arms(interacting)
    assert [one.share for one in split(arms, named(arms), 50.0).effects] == [None] * 3


def test_seeds_that_fail_in_one_arm_leave_all_arms():
    arms = factorial_arms(interacting)
    lost = arms["batch"]
    bits = np.array(list(lost.mistakes.values()))
    arms["batch"] = make_arm("batch", bits, failed=[True, True])
    found = split(arms, named(arms), 0.05)
    assert (found.seeds, found.failed, found.whole.estimate.n) == (10, 2, 10)


def test_a_missing_arm_leaves_nothing_to_split():
    arms = factorial_arms(interacting)
    assert split(arms, {}, 0.05) is None
    del arms["batch"]
    assert split(arms, named(arms) | {"batch": ["batch"]}, 0.05) is None
