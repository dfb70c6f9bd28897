"""Compares the page of the study of the range test with its results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from studies.range_test_price import page

FOLDER = Path(__file__).parents[2] / "docs/study-range-test"


def test_the_page_holds_the_committed_results(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(FOLDER.parents[1])
    assert page.text() == (FOLDER / "README.md").read_text()


def test_a_share_is_of_the_training_of_the_same_round():
    what = ["training of quick", "quick, now"]
    prices = pd.DataFrame(
        {
            "asked": "default",
            "round": [0, 1, 0, 1],
            "what": [what[0], what[0], what[1], what[1]],
            "date": "2026-11-27",
            "seconds": [10.0, 20.0, 1.0, 4.0],
            "compile_seconds": [2.0, 4.0, 2.0, 2.0],
            "steps": 1,
            **{"device": "cpu", "backend": "tensorflow", "threads": 1},
        }
    )
    (row,) = page.shares(prices)
    assert row["share"] == pytest.approx((10 + 20) / 2)
    assert row["range"] == pytest.approx((25, 25))
    assert row["total_share"] == pytest.approx(25)
