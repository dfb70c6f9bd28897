"""The section on averages of the weights shows errors, verdicts and what the averages are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrcycles.cells.result import AverageResult
from lrcycles.evidence.comparisons import compare_averages
from lrcycles.report.metrics import metrics
from lrcycles.report.sections import averages
from tests.evidence.test_averages import LEVEL, with_ema
from tests.report.test_sections import lines, row, tables
from tests.report_inputs import arm, weighed

SETTINGS = AverageResult(
    settings={"decay": 0.99},
    test_error_percent=1.0,
    test_loss=0.1,
    validation_error_percent=1.0,
    validation_loss=0.1,
)


def evidence(*arms: Any) -> Any:
    kept = [
        replace(
            each,
            cells={
                seed: replace(cell, averages={"ema": SETTINGS}) for seed, cell in each.cells.items()
            }
            if each.averages
            else each.cells,
        )
        for each in arms
    ]
    found = compare_averages(
        {each.name: each for each in kept}, [each.name for each in kept], margin=0.05
    )
    return replace(weighed(kept, []), averages=found)


def test_the_section_sets_each_average_beside_its_trained_weights():
    found = evidence(with_ema("a", 0.2), with_ema("b", 0.0), arm("c", LEVEL))
    section = averages.section(found)
    errors = row(section, "a")
    trained, average = (
        errors[f"{kind}: test error (%), mean ± standard deviation"]
        for kind in ("trained weights", "EMA")
    )
    assert float(average.split()[0]) == round(float(trained.split()[0]) - 0.2, 3)
    assert [cells[0] for cells in tables(section)[0].rows] == ["a", "b"]
    assert row(section, "a (EMA) vs a", column="verdict")["verdict"] == "better"
    assert any("decay 0.99" in line for line in lines(section))
    assert averages.in_short(found) == [
        "a (EMA): better than the trained weights of the same training."
    ]
    assert metrics(found)["comparisons"]["a.ema_vs_a"]["test_error_percent"]["verdict"] == "better"


def test_without_averages_there_is_no_section():
    found = weighed([arm("c", LEVEL)], [])
    assert averages.section(found) is None
    assert averages.in_short(found) == []
