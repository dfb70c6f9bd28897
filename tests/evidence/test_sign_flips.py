"""Do the p values agree with listing every sign flip, and with another library?"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lrcycles.evidence import sign_flips
from lrcycles.evidence.sign_flips import max_t, sign_flip_p, signed_ranks

ROWS = [
    [-5, -7, -3, -8, -6, -9, -2, -4],
    [-5, 2, -6, -1, 3, -8, -2, -7],
    [1, -1, 0, 2, -2, 1, 0, -1],
    [-30, 1, 2, -1, 1, 2, -2, 1],
]


def all_flips(seeds):
    return np.array(list(product([1, -1], repeat=seeds)))


def listed_p(units):
    sums = np.abs(all_flips(len(units)) @ np.array(units))
    return (sums >= abs(sum(units))).mean()


@pytest.mark.parametrize(
    "units", [*ROWS, [4], [-3, 3], [0, 0, 5], [100, 300, -200], [-1] * 10, [7, -7, 7, 0, 21, 14]]
)
def test_p_is_the_share_of_all_sign_flips_with_so_large_a_sum(units):
    assert sign_flip_p(units) == pytest.approx(listed_p(units), abs=1e-12)


def test_p_of_whole_numbers_is_that_of_a_permutation_test():
    units = np.random.default_rng(0).integers(-9, 7, 11)
    other = stats.permutation_test(
        (units,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert sign_flip_p(units.tolist()) == pytest.approx(other.pvalue, abs=1e-12)


def test_many_pairs_have_a_p_value_below_any_number_of_random_flips():
    assert sign_flip_p([-1] * 64) == 2.0**-63
    assert sign_flip_p([0] * 64) == 1.0
    assert sign_flip_p([]) == 1.0


def test_p_of_ranks_is_that_of_wilcoxons_test():
    differences = [-0.31, 0.12, -0.25, -0.44, 0.05, -0.61, -0.72, 0.33, -0.9]
    other = stats.wilcoxon(differences, method="exact")
    assert sign_flip_p(signed_ranks(differences, [])) == pytest.approx(other.pvalue)


def test_equal_sizes_share_a_rank_and_failures_share_the_highest():
    differences = [-0.1, 0.1, 0.3, 0.0, 0.1 + 1e-13]
    # Sizes 0.1 have ranks 1, 2, 3; 0.3 has rank 4; the two failures have ranks 5 and 6.
    assert signed_ranks(differences, [1, 0, -1]) == [-4, 4, 8, 0, 4, 11, 0, -11]


def listed_max_t(rows):
    """Adjust by listing every flip and every subset that step-down visits."""
    rows = np.array(rows, dtype=float)
    scaled = rows / np.linalg.norm(rows, axis=1)[:, None]
    observed = np.abs(scaled.sum(axis=1))
    flipped = np.abs(scaled @ all_flips(rows.shape[1]).T)
    adjusted, before = {}, 0.0
    left = set(range(len(rows)))
    while left:
        largest = max(left, key=lambda at: observed[at])
        p = (flipped[sorted(left)].max(axis=0) >= observed[largest] - 1e-9).mean()
        before = adjusted[largest] = max(p, before)
        left.remove(largest)
    return [adjusted[at] for at in range(len(rows))]


def test_max_t_of_few_seeds_is_that_of_all_sign_flips_step_by_step():
    found = max_t(ROWS, 0.05)
    assert_allclose(found.adjusted, listed_max_t(ROWS), atol=1e-12)
    assert found.p == pytest.approx([listed_p(row) for row in ROWS])


def test_the_levels_of_single_comparisons_keep_that_of_the_family():
    rows = np.random.default_rng(3).normal(0, 1, (4, 12)).round(3) * 1000
    found = max_t(rows.astype(int).tolist(), 0.05)
    scaled = rows / np.linalg.norm(rows, axis=1)[:, None]
    largest = np.sort(np.abs(scaled @ all_flips(12).T).max(axis=0))
    critical = largest[-int(0.05 * len(largest))]
    assert (largest >= critical).mean() <= 0.05
    single = (np.abs(scaled @ all_flips(12).T) >= critical - 1e-9).mean(axis=1)
    assert_allclose(found.levels, np.clip(single, 0.05 / 4, 0.05))


def test_a_family_of_one_is_exact_at_any_number_of_seeds():
    units = np.random.default_rng(1).integers(-12, 7, 32).tolist()
    found = max_t([units], 0.013)
    assert found.adjusted == pytest.approx([sign_flip_p(units)])
    assert max_t([[-1] * 64], 0.013).adjusted == [2.0**-63]
    assert found.levels == [0.013]


def test_random_flips_agree_with_all_flips(monkeypatch):
    rng = np.random.default_rng(2)
    rows = (rng.integers(-9, 10, (5, 13)) - [[3], [2], [1], [0], [4]]).tolist()
    exact = max_t(rows, 0.05).adjusted
    monkeypatch.setattr(sign_flips, "EXACT_FAMILY", 12)
    assert_allclose(max_t(rows, 0.05).adjusted, exact, atol=0.012)


def test_an_adjusted_p_lies_between_its_own_and_the_sum_over_the_family():
    rng = np.random.default_rng(5)
    rows = [*(rng.integers(-9, 10, 40) - 4 for _ in range(6)), np.zeros(40, int)]
    found = max_t([row.tolist() for row in rows], 0.013)
    for own, adjusted in zip(found.p, found.adjusted, strict=True):
        assert own <= adjusted <= 1
    assert found.adjusted[-1] == 1
