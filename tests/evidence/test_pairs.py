"""Tests which comparisons every experiment makes, and in which family each is judged."""

from pathlib import Path

import pytest

from lrcycles.cells.result import ScheduleResult
from lrcycles.config import compose, plain
from lrcycles.config.resolve import arm_length
from lrcycles.config.schema import GROUPS
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.gather import find_pairs
from tests.cell_results import cell_result

CONF = Path(__file__).parents[2] / "conf"
# "family role: arm/opponent ..." of every experiment.
PAIRS = {
    "tutorial": {
        "primary candidate": "clr/baseline clr/linear_decay",
        "schedules control": "linear_decay/baseline",
        "none replay": "published/published_baseline",
    },
    "attribution": {
        "none replay": "published/published_baseline",
        "none other": "longer/published_baseline longer/twenty larger_batch/longer "
        "published/larger_batch",
    },
    "quick": {"primary candidate": "clr/baseline"},
    "smoke": {
        "primary candidate": "clr/baseline",
        "schedules control": "continued/baseline",
        "none sensitivity": "first/baseline",
    },
    "schedules": {
        "primary candidate": "clr/baseline clr/linear_decay",
        "schedules control": "linear_decay/baseline welch/clr hann/clr cosine/linear_decay "
        "sgdr/linear_decay one_cycle/linear_decay one_cycle_momentum/linear_decay "
        "triangular2/linear_decay exp_range/linear_decay exp_range_bounds/linear_decay "
        "reduce_on_plateau/linear_decay linear_decay_warmup/linear_decay "
        "stable_linear/linear_decay stable_sqrt/linear_decay",
        "none sensitivity": "constant_base/baseline constant_geometric_mean/baseline "
        "constant_max/baseline rate_0001/baseline rate_0003/baseline rate_003/baseline "
        "rate_01/baseline",
    },
    "optimizers": {
        "schedules candidate": "clr/baseline",
        "schedules control": "nesterov_clr/nesterov_fixed momentum_clr/momentum_fixed "
        "adam_clr/adam_fixed rmsprop_clr/rmsprop_fixed adagrad_clr/adagrad_fixed "
        "adadelta_clr/adadelta_fixed",
        "none sensitivity": "adam_fixed/baseline",
    },
    "lenet": {
        "primary candidate": "clr_12/inv clr_12/linear",
        "schedules control": "constant/inv linear/inv constant_momentum/clr_12",
    },
}


def pairs_of(*overrides: str) -> dict[str, set[str]]:
    config = compose.check(compose.compose(CONF, list(overrides)))
    arms, against = {}, {}
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            epochs, batch_size, _ = arm_length(config, arm)
            result = cell_result(
                group=group,
                arm=name,
                schedule=ScheduleResult(name=arm.schedule.value),
                epochs=epochs,
                batch_size=batch_size,
                training_set=arm.training_set.value,
                optimizer=plain.plain(arm.optimizer or config.optimizer),
                continues=arm.continues,
            )
            arms[name] = Arm(name, group, {0: result}, [])
            if arm.against is not None:
                against[name] = arm.against
    found: dict[str, set[str]] = {}
    for pair in find_pairs(arms, config.report, against):
        found.setdefault(f"{pair.family} {pair.role}", set()).add(f"{pair.arm}/{pair.against}")
    return found


@pytest.mark.parametrize("experiment", PAIRS)
def test_an_experiment_compares_these_arms_in_these_families(experiment):
    expected = {kind: set(pairs.split()) for kind, pairs in PAIRS[experiment].items()}
    assert pairs_of(f"experiment={experiment}") == expected


def test_a_replay_arm_set_against_another_has_an_interval_and_no_verdict():
    found = pairs_of("+arms.controls.published.against=[baseline,published_baseline]")
    assert found["none other"] == {"published/baseline"}
    assert found["none replay"] == {"published/published_baseline"}


def test_a_primary_pair_is_judged_once_even_if_an_arm_names_it_the_other_way_round():
    found = pairs_of("+arms.controls.linear_decay.against=[clr,baseline]")
    assert found["primary candidate"] == {"clr/baseline", "clr/linear_decay"}
    assert found["schedules control"] == {"linear_decay/baseline"}
