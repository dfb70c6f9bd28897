"""The length of a range test follows from the training that it is paid for."""

from __future__ import annotations

import pytest

from lrcycles.range_tests.length import Length, Training, choose


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        # 1,080 steps of three seeds and no evaluation are a quarter of 4,320 batches.
        (Training(batches=4320), Length(360, [0, 1, 2], 10)),
        (Training(batches=4319), Length(360, [0, 1], 10)),
        (Training(batches=2750), Length(360, [0], 10)),
        (Training(batches=1000), Length(250, [0], 10)),
        (Training(batches=100), Length(120, [0], 10)),  # too short to meet the share
        # A step has four batches.
        (Training(batches=4 * 4320, batches_per_step=4), Length(360, [0, 1, 2], 10)),
        # An evaluation takes ten batches: one every 45 steps gives eight, and one at the start.
        (Training(batches=4 * 450, evaluation=10), Length(360, [0], 45)),
    ],
)
def test_the_seeds_are_reduced_before_the_steps_until_a_quarter_of_the_training_is_enough(
    training, expected
):
    chosen = choose(None, None, None, training)
    assert chosen == expected
    within = chosen.batches(training) <= training.batches / 4
    assert within is (chosen.notes(training) == [])
    assert within is (training.batches > 100)


def test_what_is_given_stays_as_it_is():
    training = Training(batches=100, evaluation=1.0)
    given = choose(500, [7, 8], 3, training)
    assert given == Length(500, [7, 8], 3)
    # Two seeds of 500 steps and 168 evaluations
    assert "about 1336 % of the time" in given.notes(training)[0]
    assert choose(0, [4], 0) == Length(0, [4], 0)  # refused by others, not replaced
    assert choose(None, None, None) == Length(360, [0, 1, 2], 10)
