"""Tests that the drawing of the schedules shows each class that docs/library.md lists."""

from __future__ import annotations

import re
from pathlib import Path

from studies import drawn_schedules

PAGE = Path(__file__).parents[2] / "docs" / "library.md"


def test_every_schedule_of_the_page_has_a_panel_and_ends_where_it_ends_without_a_warm_up():
    rows = re.search(r"\| class \|.*?\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    listed = {
        name
        for row in rows.group().strip().splitlines()[2:]
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert {name for _, name, _ in drawn_schedules.PANELS} == listed - {"Constant"}
    axes = drawn_schedules.draw().axes[: len(drawn_schedules.PANELS)]
    for ax in axes:
        warm, plain = (line.get_ydata() for line in ax.lines)
        assert warm[0] < plain[0] / 50
        assert abs(warm[-1] - plain[-1]) < 0.03
