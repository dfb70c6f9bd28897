"""All figures share one palette."""

from __future__ import annotations

from lrcycles import drawing


def test_every_arm_of_a_long_list_has_its_own_colour():
    arms = [f"arm{number}" for number in range(14)]
    assert len({tuple(colour) for colour in drawing.palette(arms).values()}) == 14
    assert len({tuple(colour) for colour in drawing.palette(arms[:9]).values()}) == 9
