"""A file that holds no range test is refused in one line."""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import re
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from lrcycles.bounds.suggestions import collect_suggestions
from lrcycles.errors import InputError
from lrcycles.range_tests.recorded.histories import read_history
from lrcycles.range_tests.recorded.summaries import read_summary
from tests.range_tests.histories import RATES, lightning_log, raw_losses

CSV = "lr,loss\n" + "".join(f"{rate},{1 + rate}\n" for rate in RATES)
REFUSED = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "only names": (b"lr,loss\n", "without rows"),
    "binary": (bytes(range(256)) * 20, "binary"),
    "broken parquet": (b"PAR1" + bytes(50), "CSV, JSON or parquet file.*cannot be read"),
    "broken json": (b'{"lr": [1, 2', "CSV, JSON or parquet file.*cannot be read"),
    "json without columns": (b"[1, 2, 3]", "JSON must have the form.*no such lists"),
    "no lr": (
        CSV.replace("lr", "speed").encode(),
        r"the learning rates, such as lr\..*Received: .*speed, loss.*--lr-column NAME",
    ),
    "no loss": (
        CSV.replace("loss", "cost").encode(),
        r"the training losses, such as loss\..*Received: .*lr, cost.*--loss-column NAME",
    ),
    "other lengths": (b'{"lr": [1, 2, 3], "loss": [1, 2]}', "Received: lr 3, loss 2"),
    "words": (CSV.replace("1.1", "high", 1).encode(), "Received: 'high"),
    "booleans": (re.sub("(?m),[0-9].*", ",True", CSV).encode(), "loss .* must contain numbers"),
    "mappings": (
        json.dumps([{"lr": rate, "loss": {"a": "b"}} for rate in RATES]).encode(),
        "Column loss/a .* must contain numbers",
    ),
    "few": (
        b"lr,loss\n" + b"".join(b"%d,1\n" % n for n in range(1, 20)),
        "20 points.*Received: 19",
    ),
    "a training": (
        CSV.encode() + CSV.partition("\n")[2].encode(),
        "Received: 1e-07 after 10 at point 101.* not a training",
    ),
    "a constant rate": (
        CSV.encode() + b"10,1\n" * 200,
        "must rise.*Received: 10 in 201 of 300 steps",
    ),
    "zero in the middle": (
        b"lr,loss\n" + b"".join(b"%d,1\n" % (n % 30) for n in range(1, 61)),
        "above 0 .*Received: 0 at point 30",
    ),
    "below zero": (
        CSV.replace("\n1e-07", "\n-1e-07").encode(),
        "above 0 .*Received: -1e-07 at point 1",
    ),
    "too large": (
        CSV.replace("10.0,", "1e400,").encode(),
        "below 1e.100. Received: inf at point 100",
    ),
    "no rates": (re.sub("(?m)^[0-9].*,", ",", CSV).encode(), "20 points.*Received: 0"),
    "no finite loss": (
        b"lr,loss\n" + b"".join(b"%d,nan\n" % n for n in range(1, 40)),
        "must have finite losses",
    ),
    "one scalar": (b"Wall time,Step,Value\n1.5,1,2.5\n", "one scalar.*--rates FILE"),
    "cut": (gzip.compress(CSV.encode())[:-20], "cannot be read"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(50), "binary"),
    "deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_range_test_is_refused_in_one_line(tmp_path, case):
    content, message = REFUSED[case]
    path = tmp_path / "history"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_history(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "missing"),
    [(lambda log: [*log[:4], *log[5:]], 1), (lambda log: [*log[:3], *log[4:]], 1)],
    ids=["a loss", "a rate"],
)
def test_a_step_of_a_log_that_lacks_something_is_left_out(tmp_path, change, missing):
    (tmp_path / "metrics.csv").write_text("\n".join(change(lightning_log())))
    history = read_history(tmp_path / "metrics.csv")
    assert history.curves.notes[0].startswith("1 step is left out")
    assert history.curves.table["lr"].tolist() == pytest.approx(np.delete(RATES, missing))


def test_a_log_of_two_runs_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("\n".join([*lightning_log(), *lightning_log()[1:]]))
    with pytest.raises(InputError, match="Received: 1e-07 after 10 at point 101"):
        read_history(tmp_path / "metrics.csv")


@pytest.mark.parametrize("names", [("g_loss", "d_loss"), ("loss", "train loss"), ("loss", "loss")])
def test_of_two_training_losses_the_user_chooses_as_the_message_says(tmp_path, names):
    rows = [f"{rate},{1 + rate},2" for rate in RATES]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([",".join(["lr", *names]), *rows]))
    with pytest.raises(InputError, match="must have one training loss") as refused:
        read_history(path)
    (name,) = re.findall(r"--loss-column '?([^')]+)", str(refused.value))
    assert read_history(path, loss_column=name).curves.table["loss"].tolist() == list(1 + RATES)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"smoothed_by": "me"}, "smoothed_by.*Received: 'me'"),
        ({"smoothing": 0.9}, "smoothing must come with the tool.*--smoothed-by"),
        ({"smoothing": 1.0, "smoothed_by": "fastai"}, "below 1. Received: 1.0"),
        ({"running_mean_of": 0}, "at least 1. Received: 0"),
        ({"steps_per_epoch": 0}, "at least 1. Received: 0"),
        ({"momentum": 1.0}, "below 1. Received: 1.0"),
        ({"lr_column": "speed"}, "lr_column must be a column.*'speed'.*lr, loss"),
        ({"loss_column": "speed"}, "loss_column must be a column.*'speed'.*lr, loss"),
        ({"rates": "nothing.csv"}, "Received: nothing.csv"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named(tmp_path, how, message):
    (tmp_path / "log.csv").write_text(CSV)
    with pytest.raises(InputError, match=message):
        read_history(tmp_path / "log.csv", **how)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("error")
def test_damaged_files_are_read_or_refused_without_a_warning(tmp_path, seed):
    draw = random.Random(seed)
    table = pd.DataFrame({"seed": 0, "step": range(100), "lr": RATES, "loss": raw_losses()})
    table.to_parquet(tmp_path / "whole")
    whole = [(tmp_path / "whole").read_bytes(), CSV.encode(), table.to_json().encode()]
    for _ in range(20):
        content = bytearray(draw.choice([*whole, gzip.compress(whole[1])]))
        for _ in range(draw.randrange(1, 6)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        (tmp_path / "history").write_bytes(content[: draw.randrange(1, 2 * len(content))])
        with suppress(InputError):
            collect_suggestions(read_history(tmp_path / "history"))


LARGE = {
    "lists": (lambda: b"[" + b"[]," * 7_000_000 + b"[]]", "JSON must take at most 420 MB"),
    "columns": (
        lambda: b",".join([b"a"] * 30_000),
        "at most 20,000 columns",
    ),
    "rows": (lambda: b"lr,loss\n" + b"1\n" * 2_100_000, "at most 2,000,000 rows"),
    "cells": (lambda: b"a" + b"," * 15_000 + b"\n1" * 2000, "at most 20,000,000 cells"),
    "line": (lambda: b"x" * 1_000_001, "less than 1,000,000 bytes"),
    "rows of parquet": (
        lambda: pd.DataFrame({"lr": np.zeros(2_100_000), "loss": 0.0}).to_parquet(),
        "at most 2,000,000 rows",
    ),
    "seeds": (
        lambda: b"seed,lr,loss\n" + b"".join(b"%d,1,1\n" % n for n in range(300)),
        "at most 256 seeds",
    ),
}


@pytest.mark.parametrize("what", LARGE)
def test_a_file_that_claims_too_much_is_refused_before_it_is_read(tmp_path, what):
    make, message = LARGE[what]
    (tmp_path / "history").write_bytes(make())
    with pytest.raises(InputError, match=message):
        read_history(tmp_path / "history")


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, message in (
        (tmp_path / "pipe", "which is empty"),
        (tmp_path / "loop", "levels of symbolic links"),
        ("/dev/zero", "a device"),
        ("x" * 300, "File name too long"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=message):
            read_history(path)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("initial_loss", {"first": 1.0}),
        ("initial_loss", {"0": math.inf}),
        ("initial_accuracy", [0.1]),
        ("ramp", "up"),
        ("optimizer", {"arguments": {"momentum": 1}}),
        ("optimizer", "sgd"),
        ("notes", "none"),
        ("train_seconds", "long"),
    ],
)
def test_a_wrong_entry_of_the_summary_is_named(tmp_path, entry, value):
    whole = {"initial_loss": {"0": 1}, "initial_accuracy": {"0": 0.1}, "ramp": "linear"}
    whole |= {"optimizer": {"arguments": {}}, "train_seconds": None, "notes": []}
    path = tmp_path / "range_test.json"
    path.write_text(json.dumps(whole))
    assert read_summary(path) == whole
    path.write_text(json.dumps({**whole, entry: value}))
    with pytest.raises(InputError, match=rf"missing entry \({entry}\)"):
        read_summary(path)


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv.*No such file"):
        read_history(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="Received: the folder"):
        read_history(tmp_path)
