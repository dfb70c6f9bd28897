"""Tests that a value which its setting cannot have is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lrcycles.errors import InputError
from lrcycles.schedules.limits import check_settings, is_count, need_count, run_length


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_size": 0}, "step_size must be a whole number of at least 1. Received: 0"),
        ({"cycles": True}, "cycles must be a whole number .* Received: True"),
        ({"rise_steps": -1.0}, r"rise_steps must be a positive finite number.* Received: -1\.0"),
        ({"factor": 1.5}, r"factor must be above 0 and at most 1\. Received: 1\.5"),
        ({"base_lr": 0.0, "max_lr": 1.0}, "base_lr must be a positive"),
        ({"base_lr": 2.0, "max_lr": 1.0}, r"base_lr must be below max_lr\. .*base_lr=2\.0"),
        ({"max_lr": 1.0, "final_lr": 1.0}, r"final_lr must be below max_lr\. .*final_lr=1\.0"),
        ({"final_lr": -1.0, "max_lr": 1.0}, r"final_lr must be a finite number of at least 0"),
    ],
)
def test_a_value_that_its_setting_cannot_have_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        check_settings(**settings)


def test_a_decay_may_end_at_0():
    check_settings(base_lr=0.0, max_lr=1.0, base_lr_may_be_0=True)
    with pytest.raises(InputError, match="base_lr must be a positive"):
        check_settings(base_lr=-0.1, max_lr=1.0, base_lr_may_be_0=True)


@pytest.mark.parametrize("value", [2, np.int64(2)])
def test_whole_numbers_of_python_and_numpy_are_counts(value):
    assert is_count(value)
    need_count("epochs", value, least=2)


@pytest.mark.parametrize("value", [1, True, 2.0, "2", None])
def test_what_is_no_whole_number_or_too_small_is_no_count(value):
    assert not is_count(value, least=2)
    with pytest.raises(InputError, match=r"epochs must be a whole number of at least 2\. .*=2 or"):
        need_count("epochs", value, least=2)


def test_a_run_is_as_long_as_its_epochs_or_its_steps():
    assert run_length(3, None, 100) == 300
    assert run_length(None, 250, 100) == 250
    assert run_length(None, None, 100) is None
