"""Tests that no configuration, however wrong, ends in a traceback or in a senseless run."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings

from lrcycles import models
from lrcycles.config import arguments, checks, compose, limits, params_file
from lrcycles.data import formats, sources
from lrcycles.errors import InputError
from tests.config.hostile import (
    CHANGES,
    CONF,
    OVERRIDES,
    VALUES,
    changed,
    composed,
    keys,
    outcome,
    refusal,
)

FINE = ("named", "harmless")


@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(CHANGES)
def test_changed_values_are_refused_by_name_or_make_sense(tmp_path, change):
    experiment, changes = change
    came, words = outcome(changed(experiment, changes), list(changes), tmp_path)
    assert came in FINE, (changes, words)


@pytest.mark.parametrize("key", ["train.epochs", "train.reuse", "data.classes", "arms.clr.clr"])
def test_every_hostile_value_of_a_key_is_refused_by_name_or_makes_sense(key, tmp_path):
    for value in VALUES:
        came, words = outcome(changed("smoke", {key: value}), [key], tmp_path)
        assert came in FINE, (value, words)


def test_a_configuration_that_is_no_mapping_is_refused():
    for value in VALUES:
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            continue
        with pytest.raises(InputError, match="Received"):
            compose.check(value)


@pytest.mark.parametrize("override", OVERRIDES[::16], ids=lambda text: ascii(text)[:30])
def test_a_hostile_override_is_refused_by_name_or_makes_sense(override, tmp_path):
    try:
        values = compose.compose(CONF, ["experiment=smoke", override])
    except InputError as error:
        came, words = refusal(str(error), [override.partition("=")[0]])
    else:
        came, words = outcome(values, [override.partition("=")[0]], tmp_path)
    assert came in FINE, words


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.epochs": 10**9}, r"train\.epochs must be a whole number from 1 to 100,000\."),
        ({"train.epochs": 10**5, "train.batch_size": 1}, r"at most 10,000,000 updates\."),
        ({"train.seeds": 10_000, "train.epochs": 5000}, r"at most 536,870,912 updates\."),
    ],
)
def test_more_updates_than_can_be_kept_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        compose.check(changed("smoke", changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.classes": ["a", "b"]}, r"data\.classes must name the 10 classes of digits\."),
        ({"data.classes": ["$x^{$", "b"]}, r"data\.classes\[0\] must be a text .* without \$"),
        ({"data.classes": ["a", True]}, r"data\.classes\[1\] must be .* Received: true\."),
        ({"data.name": ".."}, r"data\.name must be a name of letters.* Received: \.\.\."),
        ({"data.image_shape": [28, 28]}, r"data\.image_shape must be \[8,8\], as the images of"),
        ({"data.validation_images": 298}, r"together be at most 1497 .*: 1200 \+ 298\."),
        ({"data.test_images": 2}, r"data\.test_images must be from 10 to 1787, or 1797, with"),
        ({"data.source": "keras"}, r"data\.source must be auto or sklearn with data\.name=digits"),
        ({"data.name": "mine", "data.source": "auto"}, r"data\.name must be one of mnist, "),
        ({"data.source": "local"}, r"data\.path must name a folder .* Received: data\.path=null"),
        ({"data.sha256": {"pixels": "0"}}, r"data\.sha256 must have .* Received: .*\.pixels=."),
        ({"model.function": "builtins:exec"}, r"model\.function must .* Python's own library"),
        ({"model.arguments.units": [16_384] * 3}, r"units must give at most 268,435,456 weights"),
        ({"report.reference.clr.runs": 0}, r"report\.reference\.clr\.runs must be a whole number"),
        ({"arms.clr.clr.against": ["baseline"] * 2}, r"against must name each arm once\."),
        ({"range_test.evaluate_every_steps": 201}, r"must be at most range_test\.steps=200\."),
    ],
)
def test_what_only_a_later_stage_would_notice_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        compose.check(changed("smoke", changes))


def test_convolutions_that_leave_nothing_of_an_image_are_refused():
    lenet = {"function": "lrcycles.models:lenet", "arguments": {"filters": [4] * 3}}
    with pytest.raises(InputError, match=r"must leave at least one pixel .* 3 convolutions with"):
        compose.check(changed("tutorial", {"model": {"name": "lenet", **lenet}}))


def test_every_number_of_the_schema_has_limits():
    for experiment in ("smoke", "tutorial"):
        numbers = [
            key
            for key in keys(experiment)
            if type(composed_value(experiment, key)) in (int, float)
            and not key.startswith(("model.arguments.", "optimizer.arguments."))
        ]
        assert len(numbers) > 20
        for key in numbers:
            for value in (-(10**15), 10**15, 1e30):
                with pytest.raises(InputError):
                    compose.check(changed(experiment, {key: value}))


def test_what_is_known_of_published_data_and_of_lenet_is_what_other_rooms_say():
    assert checks.PARTS == formats.PARTS
    assert {name: known.sources for name, known in checks.PUBLISHED.items()} == sources.CHAINS
    assert arguments.SMALLEST_IMAGE == models.SMALLEST_IMAGE


def composed_value(experiment: str, key: str) -> object:
    node = composed(experiment)
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def test_aliases_that_stand_for_endless_values_are_refused_before_memory_is_full(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    shutil.copytree(CONF, tmp_path / "conf")
    bomb = tmp_path / "conf" / "train" / "bomb.yaml"
    bomb.write_text("\n".join(["defaults: [default]", *lines, "class_weights: *a8"]))
    with pytest.raises(InputError, match=r"bomb\.yaml must hold at most 100,000 values\. Received"):
        compose.compose(tmp_path / "conf", ["train=bomb"])
    params = tmp_path / "params.yaml"
    bomb.rename(params)
    with pytest.raises(InputError, match=r"params\.yaml must hold at most 100,000 values"):
        params_file.read(params)


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &x [1, 2]\nb: *x", "a: & *", "a & b: '*'"])
def test_other_aliases_are_left_to_the_parser(text, tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    limits.need_few_values([path, tmp_path / "missing.yaml"])
