"""Tests how a stage reads its arguments, and that runs at the same time get their own folders."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lrcycles.errors import InputError
from lrcycles.stages import command_line
from lrcycles.stages.folders import claim_folder

ROOT = Path(__file__).parents[2]


def test_an_argument_is_one_override_whatever_is_in_it():
    given = ["data.path=my data", "a='x, y'", "+b=[1, 2]", "++c=1", "~arms.clr.clr"]
    assert command_line.read_arguments("data", given) == (None, given)
    assert command_line.read_arguments("train", ["group=clr", *given]) == ("clr", given)


@pytest.mark.parametrize("word", ["--foo", "quick", "", "~"])
def test_another_argument_is_refused_with_the_way_to_the_help(word):
    with pytest.raises(
        InputError, match=r"key=value\. Received: .* `python -m pipelines\.bounds --h"
    ):
        command_line.read_arguments("bounds", [word])


@pytest.mark.parametrize("stage", command_line.STAGES)
def test_the_help_names_what_may_be_chosen_and_where_results_go(stage):
    text = command_line.help_text(stage, "Stage.", ROOT / "conf")
    assert ("group=GROUP" in text) == (stage == "train")
    assert f"outputs/{stage}/TIME/" in text
    for path in (ROOT / "conf" / "experiment").glob("*.yaml"):
        assert path.stem in text
    assert max(map(len, text.splitlines())) <= 100


def test_runs_that_start_at_once_claim_a_folder_each(tmp_path):
    start = Barrier(8)

    def claim(_: int) -> Path:
        start.wait()
        return claim_folder(tmp_path / "outputs" / "train" / "2026-01-01_00-00-00_clr")

    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(claim, range(8)))
    assert len(set(claimed)) == 8
    assert all(path.is_dir() for path in claimed)


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("-m", r"`dvc exp run --queue -S 'KEY=1,2'`"),
        ("--multirun", r"`dvc exp run --queue -S 'KEY=1,2'`"),
        ("--cfg", r"in params\.yaml"),
        ("--cfg=job", r"in params\.yaml"),
    ],
)
def test_an_option_of_hydra_is_told_what_does_the_same(word, remedy):
    with pytest.raises(InputError, match=f"Received: {word}\\. .*{remedy}"):
        command_line.read_arguments("bounds", [word])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["groop=clr"], r"Received: groop=clr\. Did you mean group=clr\?"),
        (["+group=clr"], r"Received: \+group=clr\. Did you mean group=clr\?"),
        (["GROUP=CLR"], r"Received: GROUP=CLR\. Did you mean group=clr\?"),
        (["group=contrls"], r"Received: group=contrls\. Did you mean group=controls\?"),
        (["group="], r"Received: group=\. Write for example group=baseline\."),
        (["group=clr", "group=baseline"], r"Received: group=clr group=baseline\."),
        (["contrls"], r"Received: contrls\. Write group=controls\."),
        (["train.epochs=3"], r"Received: none\. Write for example group=baseline\."),
    ],
)
def test_a_wrong_group_is_named_with_the_nearest_one(words, message):
    with pytest.raises(InputError, match=message):
        command_line.read_arguments("train", words)


def test_only_stage_train_has_a_group():
    with pytest.raises(InputError, match=r"Received: group=clr for stage data\. Leave it out\."):
        command_line.read_arguments("data", ["group=clr"])


@pytest.mark.parametrize("words", [["pipelines.trian"], ["pipelines", "trian"]])
def test_a_misspelt_stage_is_named_with_the_nearest_one(words):
    done = subprocess.run(
        [sys.executable, "-m", *words, "group=clr"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    [message] = done.stderr.splitlines()
    assert "Received: trian. Did you mean `python -m pipelines.train`?" in message
