"""Writes docs/study-verdicts/README.md from results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrcycles.files import read_json, write_text
from studies.verdicts.rows import Goal

# What each table shows: the promise in one sentence, then how the repeats were made.
_PROMISES = {
    Goal.LOOKS: (
        "looks at 8, 16, 32, 64 and 128 seeds, one after the other, give a false verdict in at "
        "most 5 % of the comparisons; in at most 5 % / k of them where k comparisons share the 5 %",
        "Differences have mean 0 and are rounded to whole images. Rounding makes differences of 0, "
        "which cannot decide anything: with few images per difference the test is conservative. "
        "The skewed row breaks the assumption of the test, by which both signs of a difference are "
        "equally likely. Arms with the same distribution never break it. The row is a bad case: "
        "two arms with equal means and differently skewed errors.",
    ),
    Goal.IMAGES: (
        "with new seeds and new test images in every repeat, all looks together give at most 5 % "
        "false verdicts",
        "Every repeat draws a new test set of 10,000 images and new seeds. The arms have the same "
        "mean error over all images, and differ on single images. The rows without a promise show "
        "what would happen without the variance of the images.",
    ),
    Goal.COVERAGE: (
        "the 95 % interval of seeds and images misses the true difference in at most 5 % of the "
        "repeats",
        "The repeats are those of the table above. The estimated variance of the images is never "
        "below 0. Where the true variance is 0, the interval is a little wide.",
    ),
    Goal.FAMILIES: (
        "all comparisons of a family and all looks together give a false verdict in at most 5 % of "
        "the repeats",
        "All comparisons of a family share an arm. A true difference that is decided with its "
        "right sign is no error.",
    ),
    Goal.FAILURES: (
        "failed runs give at most 5 % false verdicts, and an arm that fails more often is not "
        "called better",
        "The runs that do not fail are equally good in both arms, with test images that differ by "
        "a standard error of 0.02 points.",
    ),
    Goal.EQUIVALENT: (
        "arms that differ by the margin are called equivalent in at most 5 % of the repeats",
        "The rows without a promise show how often equal arms are called equivalent. The margin of "
        "the reports is 0.05 points. The margin here is 0.1, because with 0.05 hardly anything is "
        "equivalent at these numbers of seeds.",
    ),
    Goal.COMPARE: (
        "with the default 8 seeds it can decide, and is wrong in at most 0.79 % of the repeats",
        "One arm of each result is a primary comparison. Several arms are one family.",
    ),
    Goal.TIME: (
        "comparing the epochs to a target gives at most 5 % false verdicts at all looks together",
        "Both schedules reach the target after 1, 3 or 10 epochs, equally often, or never. Where "
        "no run arrives there is nothing to compare.",
    ),
    Goal.POWER: (
        "a true difference is found with the wrong sign in at most 0.5 % of the repeats",
        "The standard deviation of a paired difference is about 0.13 points. The power stands "
        "beside the power of a t test that knows both variances.",
    ),
    Goal.REAL: (
        "trainings that differ by their seeds alone give at most 5 % false verdicts, and at most "
        "5 % of their 95 % intervals miss 0",
        "Every repeat draws two arms at random out of a pool of trainings with equal settings. The "
        "repeats use the same trainings again and again. They test the method on real differences "
        "between seeds, and do not replace new trainings.",
    ),
}


def write(folder: Path) -> None:
    write_text(folder / "README.md", render(read_json(folder / "results.json")))


def render(record: dict[str, Any]) -> str:
    """Render the page."""
    rows = record["rows"]
    later = ", ".join(f"{level:g} (k = {share})" for share, level in record["later_levels"].items())
    lines = [
        "# Are the verdicts right?",
        "",
        "The report gives verdicts by the method of [docs/evidence.md](../evidence.md). This study "
        "applies the same functions to comparisons whose true difference is known, and counts how "
        "often a verdict is wrong. `make study-verdicts` makes this page. It takes MNIST trainings "
        "from .lrcycles/cells, if 32 seeds of equal settings are there. "
        f"Measured on {record['date']}, {record['cpu']}.",
        "",
        f"Level of a test at {record['looks'][0]} seeds: {record['first_level']:g}. Level at the "
        f"later looks, where k comparisons share 5 %: {later}.",
        "",
        "Brackets hold the 99 % Clopper-Pearson interval of a measured share. A row is met if this "
        "interval does not lie above the promised share, and is narrow enough to mean it: half of "
        "it is at most the number after ±. A row is conservative if the whole interval lies below "
        "the promised share. Rows without a promise are shown for comparison.",
        "",
        "## Goals",
        "",
        *(_goal(goal, rows) for goal in Goal),
    ]
    for goal in Goal:
        lines += ["", *_table(goal, [row for row in rows if row["goal"] == goal])]
    return "\n".join([*lines, ""])


def _goal(goal: Goal, rows: list[dict[str, Any]]) -> str:
    met = [row["met"] for row in rows if row["goal"] == goal and row["met"] is not None]
    missed = met.count(False)
    word = f"Not met in {missed} of {len(met)} rows" if missed else "Met" if met else "Not measured"
    promise = _PROMISES[goal][0]
    return f"- {goal.value}: {promise}. **{word}.**"


def _table(goal: Goal, rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"## {goal.value}",
        "",
        _PROMISES[goal][1],
        "",
        "| case | counted | promised (%) | measured (%) | repeats | met |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['case']} | {row['counted']} | {_promised(row)} | "
            f"{row['percent']:.2f} ({row['low']:.2f} to {row['high']:.2f}) | {row['repeats']:,} | "
            f"{_met(row)} |"
            for row in rows
        ),
    ]


def _promised(row: dict[str, Any]) -> str:
    return "" if row["at_most"] is None else f"at most {row['at_most']:.3g} (±{row['narrow']:.3g})"


def _met(row: dict[str, Any]) -> str:
    if row["met"] is None:
        return ""
    conservative = row["met"] and row["high"] < row["at_most"]
    return "conservative" if conservative else "yes" if row["met"] else "no"
