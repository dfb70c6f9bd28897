"""Compares docs/performance.md with the measurements that it is made of."""

from __future__ import annotations

from pathlib import Path

from benchmarks import page

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_of_the_measurements_beside_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    measurements = page.measured()
    assert measurements["speed"] is not None
    assert page.page(measurements) == (ROOT / "docs/performance.md").read_text(encoding="utf-8")


def test_a_goal_that_is_missed_is_called_missed():
    seconds = {"plain_fit": 2.0, "ours_tensorflow": 1.0, "floor_xla": 0.9, "jax_scan": 0.8}
    results = {name: {"median_seconds": value} for name, value in seconds.items()}
    (times, enough), (of_floor, near), (peer, slower) = page.goals("mlp_200", results)
    assert (enough, near, slower) == (False, True, False)
    assert times.startswith("2.00 times as fast as `fit`")
    assert of_floor.startswith("0.90 of the speed of the floor")
    assert "1.25 of the time of the fastest peer (JAX" in peer


def test_a_goal_on_a_gpu_depends_on_the_precision():
    def row(network: str, batch_size: int, cells: int, us_per_step: float, **more: str) -> dict:
        about = {"network": network, "batch_size": batch_size, "cells": cells}
        return {**about, "us_per_step": us_per_step, **more}

    mlp, lenet = ("MLP 784-784-10", 200), ("LeNet", 512)
    rows = [
        row(*mlp, 1, 50.0),
        row(*mlp, 1, 50.0, precision="float32"),
        row(*mlp, 8, 50.0),
        row(*lenet, 1, 100.0),
        row(*lenet, 8, 501.0),
        row(*lenet, 8, 501.0, precision="float32"),  # without one LeNet beside it
    ]
    worded = page.gpu_rows({"precision": "tf32", "rows": rows})
    assert [each["met"] for each in worded] == ["**not met**", "met", "", "met", "**not met**", ""]


def test_a_contender_that_did_not_run_leaves_the_others_on_the_page():
    ran = {"seconds": [1.0], "images": 100, "median_seconds": 1.0, "compile_seconds": 1.0}
    ran |= {"import_seconds": 1.0, "peak_mb": 1.0, "accuracy": None}
    results = {
        "ours_tensorflow": ran,
        "plain_fit": {"error": "no room"},
        "floor_jax": {"error": ""},
    }
    assert [row["name"] for row in page.rows(results)] == ["lrcycles, TensorFlow"]
    assert page.goals("mlp_200", results) == []
    speed = {"date": "2026-11-27", "cpu": "x", "threads": 2, "rounds": 1}
    measurements = {
        **dict.fromkeys(page.measured()),
        "speed": {**speed, "tasks": {"mlp_200": results}},
    }
    assert 'plain fit, no validation did not run. Its message: "no room".' in page.page(
        measurements
    )
