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
