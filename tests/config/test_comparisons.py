"""Tests that comparisons without sense are refused, and those without a verdict warned of."""

from copy import deepcopy
from pathlib import Path

import pytest

from lrcycles.config import compose
from lrcycles.config.comparisons import check_comparisons, warnings
from lrcycles.config.schema import LOOKS, MOST_PRIMARY, ArmConfig, Config
from lrcycles.errors import InputError
from lrcycles.evidence.families import LATER_LEVELS, look_level
from lrcycles.schedules.names import ScheduleName

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def tutorial() -> Config:
    return compose.check(compose.compose(CONF))


@pytest.fixture
def config(tutorial) -> Config:
    return deepcopy(tutorial)


@pytest.mark.parametrize(
    ("primary", "message"),
    [
        (
            {"clr": ["clr"]},
            r"compare an arm with other arms\. Received: .*clr=\[clr\]\. Remove clr",
        ),
        ({"clr": ["baseline"] * 2}, r"each pair once\. Received: clr and baseline twice\."),
        ({"a": ["b"], "b": ["a"]}, r"each pair once\. Received: b and a twice|a and b twice"),
        ({"clr": ["a-b"]}, r"names of arms, .* Received: a-b\."),
        ({"1": ["clr"]}, r"names of arms, .* Received: '1'\."),
        ({"clr": ["nan"]}, r"names of arms, .* Received: .nan.\."),
        ({"clr": list("abc"), "d": list("ab")}, r"at most 4 pairs, .* Received: 5 pairs\. Move"),
    ],
)
def test_primary_pairs_are_few_and_each_is_asked_once(config, primary, message):
    config.report.primary = primary
    with pytest.raises(InputError, match=rf"^report\.primary must .*{message}"):
        check_comparisons(config)


@pytest.mark.parametrize("primary", [{}, {"clr": []}, {"far": ["away"]}, {"a": list("bcde")}])
def test_primary_pairs_may_be_trained_elsewhere_or_be_none(config, primary):
    config.report.primary = primary
    check_comparisons(config)
    assert warnings(config) == []


@pytest.mark.parametrize(
    ("primary", "line"),
    [
        ({"clr": ["basline"]}, "Received: basline. Did you mean baseline?"),
        ({"clrr": ["linear_decay"]}, "Received: clrr. Did you mean clr?"),
        ({"CLR": ["far_away"]}, "Received: CLR. Did you mean clr?"),
    ],
)
def test_a_name_that_resembles_an_arm_is_warned_of(config, primary, line):
    config.report.primary = primary
    (sentence,) = warnings(config)
    assert sentence.endswith(line)


def test_there_is_a_level_for_every_look_and_every_number_of_primary_pairs():
    assert list(LATER_LEVELS) == list(range(1, MOST_PRIMARY + 1))
    for share in LATER_LEVELS:
        assert all(0 < look_level(seeds, share) <= 0.05 / share for seeds in LOOKS[1:])


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"nobody": []}, r"Every key of report\.factors must be an arm, one of .*factors\.nobody"),
        ({"clr": [], "baseline": []}, r"must name from 1 to 6 changes in all\. Received: 0\."),
        ({"clr": list("abcdefg")}, r"must name from 1 to 6 changes in all\. Received: 7\."),
        ({"clr": ["a", "a"], "baseline": []}, r"factors\.clr must name each change once\."),
        ({"clr": ["a"], "baseline": ["a"]}, r"one arm for .* clr and baseline with the same"),
        ({"clr": ["a"]}, r"one arm for every combination .* Received: no arm with \[\]\."),
        (
            {"clr": ["a", "b"], "baseline": [], "linear_decay": ["b"]},
            r"one arm for every combination .* Received: no arm with \[a\]\. Add such an arm\.",
        ),
    ],
)
def test_a_factorial_has_every_combination_once(config, factors, message):
    config.report.factors = factors
    with pytest.raises(InputError, match=message):
        check_comparisons(config)


def test_a_whole_factorial_is_accepted(config):
    config.report.factors = {"baseline": [], "clr": ["a"], "linear_decay": ["b"]}
    config.report.factors["published"] = ["b", "a"]
    check_comparisons(config)


def test_only_an_arm_of_the_replay_may_be_set_against_an_arm_of_the_replay(config):
    controls = config.arms.controls
    controls["published"].against = ["published_baseline", "clr"]
    check_comparisons(config)
    controls["linear_decay"].against = ["published"]
    with pytest.raises(InputError, match=r"train on the split\. .* Name one of baseline, clr\."):
        check_comparisons(config)


@pytest.mark.parametrize(
    ("seeds", "line"),
    [
        (1, "Received: train.seeds with 1 seed. Set train.seeds=8."),
        (7, "Received: train.seeds with 7 seeds. Set train.seeds=8."),
        (12, "Received: train.seeds with 12 seeds. Set train.seeds=16."),
        (65, "Received: train.seeds with 65 seeds. Set train.seeds=128."),
        (129, "Received: train.seeds with 129 seeds. Set train.seeds=128."),
        ([4, 7, 1], "Received: train.seeds with 3 seeds. Give train.seeds 8 seeds."),
        (8, None),
        (128, None),
        (list(range(100, 116)), None),
    ],
)
def test_seeds_without_a_verdict_are_warned_of_with_the_next_number(config, seeds, line):
    config.train.seeds = seeds
    sentences = warnings(config)
    if line is None:
        assert sentences == []
    else:
        assert sentences == [
            "A verdict needs 8, 16, 32, 64 or 128 seeds; other numbers give intervals at most. "
            + line
        ]


def test_seeds_of_an_arm_count_where_the_arm_is_judged(config):
    config.train.seeds = 16
    config.arms.controls["published"].seeds = 3  # the replay has no verdict
    assert warnings(config) == []
    config.arms.clr["clr"].seeds = 3
    (line,) = warnings(config)
    assert "arms.clr.clr.seeds with 3 seeds. Set arms.clr.clr.seeds=8." in line


def test_one_arm_alone_needs_no_seeds_for_a_verdict(config):
    config.train.seeds = 2
    config.arms.clr.clear()
    del config.arms.controls["linear_decay"]
    assert warnings(config) == []


def test_a_target_needs_a_schedule_of_several_lengths(config):
    config.report.target_percent = 1.7
    (line,) = warnings(config)
    assert line.startswith("report.target_percent should come with a schedule that is trained at")
    config.arms.controls["short"] = ArmConfig(ScheduleName("constant"), base_lr=0.001, epochs=3)
    assert warnings(config) == []
