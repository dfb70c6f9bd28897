"""What should a reader know of the arms before believing a figure?"""

from __future__ import annotations

from lrcycles.evidence.comparisons import ERROR
from lrcycles.evidence.gather import Evidence, loss_differences
from lrcycles.evidence.paired import FEWEST_PAIRS
from lrcycles.report.formatting import listed, number

_GUESSING = 5.0  # percentage points: nearer to chance than that, a run has learned nothing
_ALIKE = ("data", "model", "classes", "device_name", "backend", "precision")


def cautions(evidence: Evidence) -> list[str]:
    """What a reader should know of the arms before believing a figure."""
    told = []
    for arm in evidence.arms.values():
        if arm.diverged:
            seeds = ", ".join(map(str, arm.diverged))
            told.append(
                f"{arm.name}: {len(arm.diverged)} of {len(arm.cells)} runs diverged (seeds "
                f"{seeds}); means and differences leave them out, which flatters the arm"
            )
    counts = [found.paired.n for found in evidence.comparisons.values()]
    if counts and min(counts) < FEWEST_PAIRS:
        told.append(
            f"only {min(counts)} pairs of seeds in a comparison: below {FEWEST_PAIRS} every "
            "verdict is undecided"
        )
    for name, against in evidence.pairs:
        arm, other = evidence.arms[name], evidence.arms[against]
        if arm.cells.keys() != other.cells.keys():
            told.append(
                f"{name} and {against} do not have the same seeds: only those in common are paired"
            )
        if unlike := [key for key in _ALIKE if arm.settings[key] != other.settings[key]]:
            told.append(f"{name} and {against} differ in {listed(unlike)}, not in the arm alone")
    told += _stuck(evidence) + _dearer_in_loss(evidence)
    for name in evidence.controlled:
        arm = evidence.arms[name]
        chargeable = arm.on_split and arm.settings["continues"] is None and arm.uses_bounds
        if chargeable and evidence.targets and name not in evidence.reached:
            told.append(
                f"{name} has its bounds from a range test whose time is not known here: it is not "
                "compared in time"
            )
    return told


def _stuck(evidence: Evidence) -> list[str]:
    """Runs that finished and learned nothing, which no mean shows as what they are."""
    told = []
    for arm in evidence.arms.values():
        chance = 100 * (1 - 1 / int(arm.settings["classes"]))
        seeds = [seed for seed, error in arm.values(ERROR).items() if error > chance - _GUESSING]
        if seeds:
            told.append(
                f"{arm.name}: {len(seeds)} of {len(arm.finished)} finished runs guess (error near "
                f"{number(chance, 0)} %; seeds {', '.join(map(str, seeds))}); they count in its "
                "mean and spread"
            )
    return told


def _dearer_in_loss(evidence: Evidence) -> list[str]:
    """Arms with fewer errors and a larger test loss: surer of their remaining mistakes."""
    losses = loss_differences(evidence)
    names: dict[str, list[str]] = {}
    for found in evidence.of(ERROR):
        interval95 = losses[found.arm, found.against].interval95
        if found.verdict == "better" and interval95 and interval95[0] > 0:
            names.setdefault(found.against, []).append(found.arm)
    return [
        f"fewer errors than {against}, yet a larger test loss: {listed(arms)} (95 % intervals "
        "above 0)"
        for against, arms in names.items()
    ]
