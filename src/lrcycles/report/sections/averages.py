"""Shows what averages of the weights reach, beside the trained weights of the same trainings."""

from __future__ import annotations

from dataclasses import replace

from lrcycles.evidence.comparisons import Averages, Quantity
from lrcycles.evidence.families import Outcome
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import tables, verdicts
from lrcycles.report.figures import comparisons as figures
from lrcycles.report.figures.inputs import colours_of, row
from lrcycles.report.formatting import UNKNOWN, listed, mean_sd
from lrcycles.report.section import Block, Heading, Picture, Points, Section, Table, Text

_HEADS = {"ema": "EMA", "last": "checkpoints"}
_SLIGHT = ", by less than matters"
_DECIDED = (
    (Outcome.BETTER, "better than", ""),
    (Outcome.SLIGHTLY_BETTER, "better than", _SLIGHT),
    (Outcome.WORSE, "worse than", ""),
    (Outcome.SLIGHTLY_WORSE, "worse than", _SLIGHT),
)
_OWN = (
    "Both sides of a pair are the same trainings. p is adjusted for the number of comparisons "
    "(max-T with common sign flips), and this family has its own 5 %."
)
_DECAYS = (
    "A linear decay also ends with weights that change little. These comparisons set each average "
    "against the trained weights of a linear decay. They have an interval and no verdict."
)


def section(evidence: Evidence) -> Section | None:
    """Show errors, differences and verdicts of averages; None where no arm has one."""
    found = evidence.averages
    if found is None:
        return None
    compared = (*found.own, *found.decays)
    shown = replace(
        evidence,
        arms=evidence.arms | found.arms,
        comparisons={(one.arm, one.against, one.quantity): one for one in compared},
    )
    blocks: list[Block] = [Points(_meaning(evidence)), _errors(evidence, found, shown)]
    if any(one.estimate for one in found.own):
        blocks.append(_differences(evidence, found, shown))
    blocks += [Heading("Third family: averaged against trained weights"), Text(_OWN)]
    blocks.append(tables.comparisons(shown, found.own))
    if found.decays:
        blocks += [Heading("Against a linear decay: intervals only"), Text(_DECAYS)]
        blocks.append(tables.comparisons(shown, found.decays))
    about = "The test error of averages of the weights, beside the trained weights."
    return Section("averages", "Averaged weights", blocks, about=about)


def _meaning(evidence: Evidence) -> list[str]:
    """Word what the averages are."""
    averages = [arm.settings.averages for arm in evidence.arms.values()]

    def values(name: str, setting: str) -> str:
        every = {each[name].settings[setting] for each in averages if name in each}
        return " or ".join(f"{value:g}" for value in sorted(every))

    lines = ["Each training is scored once more with averages of its weights in their place."]
    if decay := values("ema", "decay"):
        lines.append(
            f"EMA: the exponential moving average of the weights after every step, with decay "
            f"{decay}. Its bias at the start is corrected."
        )
    if checkpoints := values("last", "checkpoints"):
        lines.append(
            "Checkpoints: the mean of the weights at the ends of the last epochs, over "
            f"{checkpoints} epochs. Source: Izmailov 2018 (arXiv 1803.05407) and Kaddour 2022 "
            "(arXiv 2209.14981)."
        )
    return lines


def _errors(evidence: Evidence, found: Averages, shown: Evidence) -> Table:
    """Tabulate the errors of the trained weights and of each average."""
    digits = verdicts.digits_of(Quantity.ERROR, shown)
    names = [name for name in _HEADS if any(arm.average == name for arm in found.arms.values())]
    rows = []
    for arm in evidence.arms.values():
        if arm.averages:
            scored = [arm, *(arm.averages.get(name) for name in names)]
            rows.append([arm.label])
            for one in scored:
                values = None if one is None else one.values(Quantity.ERROR)
                rows[-1].append(UNKNOWN if values is None else mean_sd(values, digits, count=False))
            rows[-1].append(str(len(arm.cells)))
    what = "test error (%), mean ± standard deviation"
    heads = [f"{kind}: {what}" for kind in ("trained weights", *(_HEADS[name] for name in names))]
    return Table(["arm", *heads, "runs"], rows)


def _differences(evidence: Evidence, found: Averages, shown: Evidence) -> Picture:
    colours = colours_of(evidence)

    def title(arm: str, against: str) -> str:
        return f"{shown.arms[arm].label} vs {shown.arms[against].label}"

    drawn = [one for one in found.own if one.estimate]
    rows = {
        title(one.arm, one.against): row(one.estimate, one.differences)
        for one in drawn
        if one.estimate
    }
    return Picture(
        "averages",
        figures.forest(
            rows,
            margin=evidence.report.margin_percent,
            colours={title(one.arm, one.against): colours[one.against] for one in drawn},
        ),
        "The difference in test error between averaged and trained weights of each seed. The "
        "tables have the figures.",
        "Averaged weights minus trained weights of the same training, and the mean difference. "
        "The grey band is the margin: a difference within it does not matter.",
    )


def in_short(evidence: Evidence) -> list[str]:
    """Word the verdicts on averages for the first screen; nothing where no arm has one."""
    found = evidence.averages
    if found is None:
        return []
    trained = "the trained weights of the same training"
    decided = [
        f"{listed([found.arms[one.arm].label for one in of_kind])}: {verb} {trained}{size}."
        for outcome, verb, size in _DECIDED
        if (of_kind := [one for one in found.own if one.outcome == outcome])
    ]
    if decided:
        return decided
    tested = any(one.verdict.p is not None for one in found.own)
    end = "no average is shown to be better or worse than" if tested else "no verdict against"
    return [f"Averaged weights: {end} {trained}."]
