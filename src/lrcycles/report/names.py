"""Names the arms in words: what each one does with its learning rate."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.arms import Arm
from lrcycles.report.formatting import rate

# The schedule as a noun, and as something to use with its highest rate.
_WORDS = {
    "constant": ("constant rate", "a constant rate of {}"),
    "triangular": ("cycles", "cycles up to {}"),
    "triangular2": ("shrinking cycles", "cycles that shrink from {}"),
    "exp_range": ("shrinking cycles", "cycles that shrink from {}"),
    "exp_range_bounds": ("shrinking cycles", "cycles that shrink from {}"),
    "welch": ("Welch cycles", "cycles (Welch window) up to {}"),
    "hann": ("Hann cycles", "cycles (Hann window) up to {}"),
    "linear_decay": ("linear decay", "a linear decay from {}"),
    "cosine": ("cosine decay", "a cosine decay from {}"),
    "sgdr": ("warm restarts", "warm restarts from {}"),
    "one_cycle": ("1cycle", "1cycle (one rise, then a fall) up to {}"),
    "warmup_stable_decay": ("stable rate with a final decay", "a rate of {} with a final decay"),
    "inverse_time": ("inverse-time decay", "an inverse-time decay from {}"),
    "reduce_on_plateau": ("decay on plateaus", "a rate that falls on plateaus, from {}"),
}


def with_noun(arm: Arm) -> str:
    """Write an arm's name with its schedule in words, unless the name says it.

    A name such as linear_decay needs no words.
    """
    words = "rising rate" if arm.never_turns else noun(arm.settings.schedule.name)
    if words.replace(" ", "_") in arm.name or arm.settings.schedule.name in arm.name:
        return arm.name
    return f"{arm.name} ({words})"


def noun(schedule: str) -> str:
    """Write a schedule as a noun."""
    return _WORDS[schedule][0]


def to_use(arms: Sequence[Arm]) -> list[str]:
    """Write what each arm tells a reader to use; arms that read alike keep their names."""
    texts = [_phrase(arm) for arm in arms]
    return [
        text if texts.count(text) == 1 else f"{arm.name} ({text})"
        for arm, text in zip(arms, texts, strict=True)
    ]


def _phrase(arm: Arm) -> str:
    schedule = arm.settings.schedule
    rates = [value for value in (schedule.base_lr, schedule.max_lr) if value is not None]
    words = "a rate that rises to {}" if arm.never_turns else _WORDS[schedule.name][1]
    after = " after a warm-up" if arm.warmup_steps else ""
    return words.format(rate(max(rates, default=None))) + after
