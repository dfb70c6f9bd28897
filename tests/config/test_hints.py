"""Tests that a wrong override is one line that names the right one."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from lrcycles.config import advice, compose
from lrcycles.errors import InputError

CONF = Path(__file__).parents[2] / "conf"

WRONG = {
    "train.epoch=3": r"Received: train\.epoch\. Did you mean train\.epochs\?",
    "report.primary=1": r"report\.primary must be a mapping, .* Received: 1\.",
    "group=clr": r"Received: group\. Write `dvc repro train@GROUP`",
    "epochs=3": r"Received: epochs\. Did you mean train\.epochs\?",
    "experiment=tutorail": r"Did you mean experiment=tutorial\?",
    "optimizer=AdamW": r"optimizer must be one of adam, .* Write optimizer\.name=adamw\.",
    "model=lenett": r"model must be one of lenet, mlp, .* Did you mean model=lenet\?",
    "modle=lenet": r"Received: modle\. Did you mean model\?",
    "+arm@arms.controls.x=cosin": r"Did you mean \+arm@arms\.controls\.x=cosine\?",
    "arm@arms.controls.x=cosine": r"Write \+arm@arms\.controls\.x=cosine to add it\.",
    "+experiment=quick": r"Write experiment=quick\.",
    "arms.clr.clr.max_rate=1": r"Did you mean arms\.clr\.clr\.max_lr\?",
    "arms.clr.cl.max_lr=1": r"Did you mean arms\.clr\.clr\?",
    "arms.clr.clr.epochs=3": r"Write \+arms\.clr\.clr\.epochs=3\.",
    "+train.epochs=3": r"Write train\.epochs=3\.",
    "train.epochs.x=3": r"Write train\.epochs=3\.",
    "~arms.clr.crl": r"Did you mean arms\.clr\.clr\?",
    "~arms.clr.clr.epochs": r"must be set before it can be removed",
    "train.epochs=1,2": r"`dvc exp run --queue -S 'train\.epochs=1,2'`",
    "a b=3": r"must have the form key=value\. Received: a b=3\.",
    "train=null": r"train must be one of default\. Received: train=null\.",
    "train=[1]": r"train must be one of default\. Received: train=\[1\]\.",
    "arms.clr={}": r"remove those that may be left out with ~arms\.clr\.KEY\.",
    "data.path=~/my images": r"quotes of its own\. .* Write \"data\.path='~/my images'\"\.",
    "data.path=it's": r"Write \"data\.path='it\\'s'\"\.",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_override_is_one_line_with_the_remedy(override):
    with pytest.raises(InputError) as caught:
        compose.check(compose.compose(CONF, [override]))
    text = str(caught.value)
    assert re.search(WRONG[override], text), text
    assert "\n" not in text


def test_the_wrong_one_of_two_overrides_is_named():
    with pytest.raises(InputError, match=r"Received: train\.epoch\. Did you"):
        compose.compose(CONF, ["data.path=images", "experiment=smoke", "train.epoch=3"])


def test_values_may_hold_spaces_quotes_and_lists():
    values = compose.compose(CONF, ["data.path=my data", "model.name='a,b'", "train.seeds=[1, 2]"])
    assert (values["data"]["path"], values["model"]["name"]) == ("my data", "a,b")
    assert values["train"]["seeds"] == [1, 2]
    assert compose.compose(CONF, ["~arms.clr.clr"])["arms"]["clr"] == {}


def test_an_empty_mapping_may_replace_an_empty_one():
    assert compose.compose(CONF, ["optimizer.arguments={}"])["optimizer"]["arguments"] == {}


@pytest.mark.parametrize("value", ["~/my images", "it's", "a;b", "x \\ 'y'", "[1", '"'])
def test_a_refused_value_is_accepted_as_the_message_writes_it(value):
    with pytest.raises(InputError) as caught:
        compose.compose(CONF, [f"data.path={value}"])
    written = str(caught.value).rpartition("Write ")[2].removesuffix(".")
    assert compose.compose(CONF, shlex.split(written))["data"]["path"] == value


def test_an_arm_is_not_told_to_continue_itself():
    with pytest.raises(InputError, match=r"Received: 'first'\. .*, or remove `continues`\.$"):
        compose.check(compose.compose(CONF, ["experiment=smoke", "~arms.controls.first"]))


def test_published_runs_that_were_removed_are_not_missed():
    asked = ["~report.published.published_baseline", "~report.published.published"]
    config = compose.check(compose.compose(CONF, asked))
    assert not [text for text in advice.warnings(config) if "published runs" in text]


@pytest.mark.parametrize("content", [b"3\n", b"\xff\xfe"])
def test_a_file_of_conf_without_keys_and_values_is_named(tmp_path, content):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "arm" / "bad.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"^conf/arm/bad\.yaml must hold keys and values\. Rec"):
        compose.compose(conf, ["+arm@arms.clr.bad=bad"])
