"""Shows the learning rate of each arm over its steps."""

from __future__ import annotations

from lrcycles.evidence.weigh import Evidence
from lrcycles.report.figures.arms import rates_over_steps
from lrcycles.report.figures.inputs import colours_of
from lrcycles.report.section import Picture, Section


def section(evidence: Evidence) -> Section:
    """Draw every arm's rate, and how far a half-cycle that is cut short would go."""
    drawn = rates_over_steps(
        {name: arm.rates for name, arm in evidence.arms.items()},
        {
            name: arm.settings.schedule.step_size
            for name, arm in evidence.arms.items()
            if arm.never_turns
        },
        warmups={name: arm.warmup_steps for name, arm in evidence.arms.items()},
        colours=colours_of(evidence),
    )
    caption = "The rate of each arm."
    if any(arm.never_turns for arm in evidence.arms.values()):
        caption += " A dotted line is the rest of a half-cycle that the run does not finish."
    alt = "The learning rate of each arm at every step."
    picture = Picture("learning_rate", drawn, alt, caption)
    about = "The learning rate of every arm at every step."
    return Section("rates", "The rate over the steps", [picture], about=about)
