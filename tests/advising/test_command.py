"""`lrcycles advise` answers for a user's own functions, and names what is wrong with them."""

from __future__ import annotations

import json

import pytest

from lrcycles.cli import main

NET = """
import keras

def build():
    model = bare((2,), 1)
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    return model

def bare(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(1)])

def broken():
    raise OSError("no weights here")

def strange(depth, width, height):
    return depth

no_function = 3
"""
DATA = """
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(64, 2)).astype("float32")
y = x @ np.array([[1.0], [-2.0]], "float32")

def load():
    return x, y

def split():
    return (x, y), (None, None)

def yields():
    for _ in range(99):
        yield x, y

def three():
    return x, y, x
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the functions of a user."""
    (tmp_path / "advised_net.py").write_text(NET)
    (tmp_path / "advised_data.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_answer_is_printed_and_written(project, capsys):
    words = ["advise", "advised_net:build", "--data", "advised_data:split", "--total-steps", "150"]
    assert main([*words, "--budget", "0.6", "--output", "answer"]) == 0
    printed = capsys.readouterr().out
    content = json.loads((project / "answer" / "advice.json").read_text())
    assert f"peak rate {content['peak_lr']:g}" in printed
    assert content["code"] in printed
    assert (project / "answer" / "advice.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "MODEL must be given outside of a checkout"),
        (["train.epochs=3"], "MODEL must be given outside of a checkout"),
        (["advised_net:build"], "must be one module:function and come with --data"),
        (["net", "--data", "advised_data:load"], "MODEL must have the form module:function"),
        (["advised_net:build", "--data", "data.py"], "--data must have the form module:function"),
        (["advised_nt:build", "--data", "advised_data:load"], "ModuleNotFoundError"),
        (["advised_net:none", "--data", "advised_data:load"], "AttributeError"),
        (["advised_net:no_function", "--data", "advised_data:load"], "MODEL must name a function"),
        (
            ["advised_net:broken", "--data", "advised_data:load"],
            "Received: OSError: no weights here (",
        ),
        (["advised_net:strange", "--data", "advised_data:load"], "(depth, width, height)"),
        (
            ["advised_net:strange", "--data", "advised_data:yields"],
            "MODEL must take no arguments. Received: advised_net:strange",
        ),
        (["advised_net:build", "--data", "advised_data:x"], "--data must name a function"),
        (["advised_net:build", "--data", "advised_data:three"], "Received: tuple of 3"),
        (["advised_net:build", "--data", "advised_data:load"], "Exactly one of epochs and total"),
        (
            ["advised_net:build", "--data", "advised_data:load", "--output", "advised_net.py/x"],
            "--output must be a folder that can be written",
        ),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_mistake_is_one_line_and_status_1(words, message, capsys):
    assert main(["advise", *words]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not said.out
