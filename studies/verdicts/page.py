"""Writes docs/study-verdicts/README.md from results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrcycles.files import read_json, write_text
from studies.verdicts.simulate import MARGIN, SD


def write(folder: Path) -> None:
    write_text(folder / "README.md", render(read_json(folder / "results.json")))


def render(record: dict[str, Any]) -> str:
    """Render the page."""
    lines = [
        "# Are the verdicts right?",
        "",
        "The report gives verdicts. This study applies them to comparisons whose true difference "
        "is known, and counts how often a verdict is wrong. `make study-verdicts` makes this page. "
        f"Measured on {record['date']}, {record['cpu']}.",
        "",
        'The verdicts follow the rule of the report. "Better" or "worse": the sign-flip p value, '
        'adjusted by Holm, is below 0.05. "Equivalent": the 90 % interval lies within '
        f"±{MARGIN:g} percentage points. All shares are percent. Brackets hold their 99 % "
        "Clopper-Pearson interval.",
        "",
        *_goals(record),
        "",
        *_without_difference(record),
        "",
        *_with_difference(record),
        "",
    ]
    return "\n".join(lines)


def _goals(record: dict[str, Any]) -> list[str]:
    simulated, real = record["simulated"], record["real"]
    same = [*_rows(record, planted=False), *record["times"], real]
    false_positives = all(row["decided"]["low"] <= 5 for row in same)
    coverage = all(_meets(row["covered"], 93, 97) for row in [*simulated, real])
    power = all(_meets(row["decided"], *_near(row)) for row in _rows(record, planted=True))
    return [
        "Three goals:",
        "",
        '- False positives: without a true difference, at most 5 % of the verdicts are "better" or '
        f'"worse". Met if no interval lies completely above 5 %: **{_met(false_positives)}**.',
        "- Coverage: the 95 % interval of the report contains the true difference in 93 to 97 % "
        f"of the comparisons. Met if every interval overlaps this range: **{_met(coverage)}**.",
        "- Power: a true difference is found as often as a paired t test finds it, within five "
        f"points. Met if every interval overlaps this range: **{_met(power)}**.",
    ]


def _without_difference(record: dict[str, Any]) -> list[str]:
    real = record["real"]
    return [
        "## No true difference",
        "",
        "Both arms are the same. The differences are drawn with mean 0 and standard deviation "
        f"{SD:g} percentage points. The p values of a family of comparisons are adjusted together. "
        "A family counts as better or worse if any of its comparisons does. The last two columns "
        "count the first comparison of each family.",
        "",
        "| differences | pairs | comparisons per family | repeats | better or worse | equivalent "
        "| interval contains the truth |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['shape']} | {row['n']} | {row['family']} | {row['repeats']:,} | "
            f"{_share(row['decided'])} | {_share(row['equivalent'])} | {_share(row['covered'])} |"
            for row in _rows(record, planted=False)
        ),
        *(
            f"| times to a target, {row['never_percent']:.0f} % of the runs never reach it | "
            f"{row['n']} | 1 | {row['repeats']:,} | {_share(row['decided'])} | | |"
            for row in record["times"]
        ),
        f"| real trainings that differ by their seeds | {real['pairs']} | 1 | "
        f"{real['comparisons']} | {_share(real['decided'])} | | {_share(real['covered'])} |",
        "",
        f"The real trainings are {real['trainings']:,} trainings of experiment `smoke` (1,797 "
        "digits). Each is used in one comparison. Their differences have a standard deviation of "
        f"{real['sd_of_differences']:.2f} percentage points.",
    ]


def _with_difference(record: dict[str, Any]) -> list[str]:
    return [
        "## A true difference",
        "",
        "| true difference (points) | pairs | repeats | found | predicted | found with the wrong "
        "sign | interval contains the truth |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['effect']:g} | {row['n']} | {row['repeats']:,} | {_share(row['decided'])} | "
            f"{row['predicted_power_percent']:.1f} | {_share(row['wrong_way'])} | "
            f"{_share(row['covered'])} |"
            for row in _rows(record, planted=True)
        ),
        "",
        '"Predicted" is the power of a paired t test at 5 % (statsmodels). A sign-flip test has '
        "only 2^n sign flips for n pairs, so with few pairs it finds a little less.",
    ]


def _rows(record: dict[str, Any], *, planted: bool) -> list[dict[str, Any]]:
    return [row for row in record["simulated"] if (row["effect"] > 0) == planted]


def _near(row: dict[str, Any]) -> tuple[float, float]:
    return row["predicted_power_percent"] - 5, row["predicted_power_percent"] + 5


def _meets(share: dict[str, float], low: float, high: float) -> bool:
    return share["low"] <= high and low <= share["high"]


def _share(share: dict[str, float]) -> str:
    return f"{share['percent']:.1f} ({share['low']:.1f} to {share['high']:.1f})"


def _met(holds: bool) -> str:
    return "met" if holds else "not met"
