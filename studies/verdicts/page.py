"""The page of the test bench, made of its results.json and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrcycles.files import read_json, write_text
from studies.verdicts.simulate import MARGIN, SD


def write(folder: Path) -> None:
    write_text(folder / "README.md", render(read_json(folder / "results.json")))


def render(record: dict[str, Any]) -> str:
    simulated = record["simulated"]
    null = [row for row in simulated if row["effect"] == 0]
    planted = [row for row in simulated if row["effect"] > 0]
    real = record["real"]
    tried = [*null, *record["times"], real]
    false_positives = all(row["decided"]["low"] <= 5 for row in tried)
    coverage = all(_meets(row["covered"], 93, 97) for row in [*simulated, real])
    power = all(_meets(row["decided"], *_near(row)) for row in planted)
    lines = [
        "# Are the verdicts right?",
        "",
        f"Made by `make study-verdicts` on {record['date']}, {record['cpu']}. Shares are percent, "
        "in brackets their Clopper-Pearson interval at 99 %. A verdict is one as in the report: "
        "better or worse if the Holm-adjusted sign-flip p is below .05, equivalent within "
        f"±{MARGIN:g} percentage points.",
        "",
        f"- False positives: no interval lies wholly above 5 %: **{_met(false_positives)}**.",
        f"- Coverage of the 95 % interval: every one meets 93 to 97 %: **{_met(coverage)}**.",
        "- Power: within five points of that of a paired t test, where six or more pairs can "
        f"decide: **{_met(power)}**.",
        "",
        "## Nothing to find (A/A)",
        "",
        f"Differences drawn with mean 0 and standard deviation {SD:g} percentage points. A family "
        "is adjusted as one; counted is one with any verdict of better or worse. Times are to a "
        "target that the named share of the runs of both arms never reaches.",
        "",
        "| differences | pairs | family | repeats | better or worse | equivalent | covered |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['shape']} | {row['n']} | {row['family']} | {row['repeats']:,} | "
            f"{_share(row['decided'])} | {_share(row['equivalent'])} | {_share(row['covered'])} |"
            for row in null
        ),
        *(
            f"| times, {row['never_percent']:.0f} % never arrive | {row['n']} | 1 | "
            f"{row['repeats']:,} | {_share(row['decided'])} | | |"
            for row in record["times"]
        ),
        f"| real: smoke task, other seeds | {real['pairs']} | 1 | {real['comparisons']} | "
        f"{_share(real['decided'])} | | {_share(real['covered'])} |",
        "",
        f"The real ones are {real['trainings']:,} trainings of one configuration on 1,797 digits, "
        f"in disjoint comparisons; their differences have a standard deviation of "
        f"{real['sd_of_differences']:.2f} points.",
        "",
        "## Planted effects",
        "",
        "| true difference | pairs | repeats | found | predicted | wrong way | covered |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['effect']:g} | {row['n']} | {row['repeats']:,} | {_share(row['decided'])} | "
            f"{row['predicted_power_percent']:.1f} | {_share(row['wrong_way'])} | "
            f"{_share(row['covered'])} |"
            for row in planted
        ),
        "",
        "Predicted: the power of a paired t test at 5 % (statsmodels). A sign-flip test has only "
        "2^n flips: with few pairs it finds a little less.",
        "",
    ]
    return "\n".join(lines)


def _near(row: dict[str, Any]) -> tuple[float, float]:
    return row["predicted_power_percent"] - 5, row["predicted_power_percent"] + 5


def _meets(share: dict[str, float], low: float, high: float) -> bool:
    return share["low"] <= high and low <= share["high"]


def _share(share: dict[str, float]) -> str:
    return f"{share['percent']:.1f} ({share['low']:.1f} to {share['high']:.1f})"


def _met(holds: bool) -> str:
    return "met" if holds else "not met"
