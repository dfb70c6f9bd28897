"""Writes and reads result.json."""

from __future__ import annotations

import json

import pytest

from lrcycles.cells.result import read_result, write_result
from lrcycles.errors import InputError
from tests.cell_results import cell_result


def test_a_result_comes_back_from_its_file_as_it_was(tmp_path):
    result = cell_result(momentum={"base_momentum": 0.85, "max_momentum": 0.95}, parent="p")
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result


def test_the_file_holds_the_names_that_users_read(tmp_path):
    write_result(tmp_path / "result.json", cell_result())
    content = json.loads((tmp_path / "result.json").read_text())
    documented = {
        "schema", "arm", "group", "seed", "key", "status", "test_error_percent", "test_loss",
        "validation_error_percent", "train_seconds", "compile_seconds", "steps",
        "steps_per_second", "epochs", "batch_size", "images", "device", "threads", "backend",
        "precision", "versions", "schedule", "history", "diverged_at_step",
    }  # fmt: skip
    assert documented <= content.keys()
    assert content["schedule"]["step_size"] == 625
    assert content["history"][1] == {
        "epoch": 2,
        "step": 2500,
        "validation_loss": 0.25,
        "validation_error_percent": 2.25,
    }


def test_a_key_of_a_later_version_is_left_out(tmp_path):
    content = cell_result().to_dict() | {"from_the_future": 1}
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert read_result(tmp_path / "result.json") == cell_result()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda c: json.dumps({k: v for k, v in c.items() if k != "steps"}),
            "must hold steps. Received: a file without them. ",
        ),
        (lambda c: json.dumps(c | {"status": "lost"}), "finished, diverged. Received: 'lost'"),
        (lambda c: json.dumps(c | {"schedule": {"nom": "x"}}), "must hold the result"),
        (lambda c: json.dumps(c | {"history": [{"epoch": 1}]}), "must hold the result"),
        (lambda c: json.dumps([c]), "Received: list"),
        (lambda c: json.dumps(c)[:50], "Received: a damaged file"),
        (lambda c: json.dumps(c | {"schema": 2}), "must have schema 1. Received: schema 2"),
    ],
)
def test_a_file_that_is_no_result_is_refused_by_its_name(tmp_path, damage, message):
    path = tmp_path / "result.json"
    path.write_text(damage(cell_result().to_dict()))
    with pytest.raises(InputError, match=message) as raised:
        read_result(path)
    assert str(path) in str(raised.value)


def test_a_training_is_finished_or_diverged():
    assert cell_result().finished
    assert not cell_result(status="diverged").finished
