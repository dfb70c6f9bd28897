"""Explains the terms of the report, with their sources."""

from __future__ import annotations

from lrcycles.evidence.weigh import Evidence
from lrcycles.report.section import Section, Table

_TERMS = (
    ("arm", "One way to train: a network with its schedule, optimizer, batch size and epochs."),
    ("controlled comparison", "Arms with equal seeds, data, network and epochs."),
    ("base_lr, max_lr", "The bounds between which a cyclical learning rate moves."),
    ("step_size", "Half a cycle, in steps (mini-batches). Smith 2017, arXiv 1506.01186."),
    (
        "range test",
        "A short training in which the learning rate rises at every step. Smith 2017, sec. 3.3.",
    ),
    ("spread (decades)", "The logarithm, to base 10, of the largest over the smallest value."),
    ("paired difference", "The mean over seeds of one arm's value minus the other arm's value."),
    (
        "from seeds, from test images",
        "The parts of a 95 % interval that other seeds and other test images would move. More "
        "seeds shrink the first part only.",
    ),
    (
        "p, level",
        "The share of sign flips of the differences whose mean is at least as far from 0, adjusted "
        "for the family of comparisons. It must not exceed the level.",
    ),
    (
        "better, worse",
        "p is at the level or below, and the interval at this level does not contain 0. By less "
        "than matters: the mean lies within the margin.",
    ),
    ("equivalent", "The interval of two one-sided tests lies within the margin."),
    ("undecided", "Neither of these: the results allow for a difference and for none."),
    (
        "no verdict",
        "Nothing was tested: verdicts are made in families, at 8, 16, 32, 64 or 128 seeds.",
    ),
    ("failed", "A run that diverged, or that ended with about the error of a guess."),
    (
        "median, Hodges-Lehmann",
        "Two typical values that single runs cannot carry. The second is the median of the means "
        "of all pairs of differences.",
    ),
    ("Wilson interval", "A 95 % interval of a share, such as an error rate on the test images."),
    ("compiled", "Trained by the loop of this project instead of Keras fit."),
)


_REPLAY = ("replay", "The published runs, repeated with their own settings.")


def section(evidence: Evidence) -> Section:
    """Tabulate the terms that this report uses."""
    terms = [*_TERMS, _REPLAY] if evidence.replay else _TERMS
    table = Table(["term", "meaning"], [list(term) for term in terms])
    return Section("terms", "Terms", [table], about="What the words of this report mean.")
