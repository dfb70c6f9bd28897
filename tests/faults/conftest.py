"""Counts the faults that tests plant, for docs/reliability.md."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studies.reliability import FORBIDDEN, OUTCOMES
from tests.pipelines.conftest import project

__all__ = ["project"]


@dataclass
class Faults:
    """The faults of one kind that a test has planted, with what came of them."""

    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, outcome: str) -> None:
        """Count a fault.

        Args:
            what: the fault, such as "kill -9 in stage train@clr after 3.2 s".
            outcome: one of `studies.reliability.OUTCOMES`.
        """
        assert outcome in OUTCOMES, outcome
        self.outcomes[outcome] += 1
        if outcome in FORBIDDEN:
            self.wrong.append(f"{what}: {outcome}")

    def figure(self, what: str, value: float) -> None:
        """Keep the largest value of what a fault costs."""
        self.figures[what] = max(value, self.figures.get(what, value))


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Count faults of the kind that the test's marker `counts(KIND)` names; none may be forbidden.

    With LRCYCLES_FAULT_COUNTS=FILE the counts are appended to FILE, a line of JSON for each test.
    """
    marker = request.node.get_closest_marker("counts")
    assert marker is not None, "the test needs @pytest.mark.counts(KIND)"
    counted = Faults(marker.args[0])
    yield counted
    assert counted.outcomes or counted.figures, "the test has planted no fault"
    if target := os.environ.get("LRCYCLES_FAULT_COUNTS"):
        line = {"kind": counted.kind, "test": request.node.name, "outcomes": counted.outcomes}
        line |= {"figures": counted.figures} if counted.figures else {}
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    assert not counted.wrong, "\n".join(counted.wrong)
