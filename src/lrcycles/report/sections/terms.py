"""Explains the terms of the report, with their sources."""

from __future__ import annotations

from lrcycles.config.schema import LOOKS
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.formatting import listed
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
    ("spread (decades)", "The standard deviation of log10 of the rate over the seeds."),
    (
        "±",
        "After a mean: the standard deviation over the seeds. In a column that begins with 'part': "
        "half of a 95 % interval.",
    ),
    (
        "paired difference",
        "The difference between two arms trained with the same seed: the first arm minus the "
        "second arm. The tables show the mean over the seeds.",
    ),
    (
        "part of seeds; part of images",
        "How much of the 95 % interval comes from the choice of seeds, and how much from the "
        "choice of test images. The parts combine as squares, not as a sum. More seeds shrink the "
        "first part only.",
    ),
    (
        "p, level",
        "p is the share of sign flips of the paired differences whose mean is as far from 0 as the "
        "measured mean, or farther. p must not exceed the level. p covers other seeds, not other "
        "test images. In the first family the level is divided (Holm). In the second family p is "
        "adjusted (max-T).",
    ),
    (
        "interval at the level",
        "The interval for other seeds and other test images that must not contain 0. Its "
        "confidence is 100 % minus the level. In the second family the level is first reduced for "
        "the number of comparisons.",
    ),
    (
        "better, worse",
        "p is at the level or below, and the interval at the level does not contain 0. 'Better, "
        "by less than matters': the mean difference is within the margin.",
    ),
    ("equivalent", "The interval of two one-sided tests lies within the margin."),
    ("undecided", "The results fit a difference and also fit no difference."),
    (
        "no verdict",
        f"Not tested, because only an interval was asked for, because the number of seeds is none "
        f"of {listed([str(look) for look in LOOKS])}, or because the wrong test images are not "
        "known.",
    ),
    ("not comparable", "Both arms are the same trainings, or no pair differs."),
    ("failed", "A run that diverged, or that ended with about the error of a guess."),
    (
        "median, Hodges-Lehmann",
        "Two averages that a few extreme runs hardly change. The second is the median of the means "
        "of all pairs of differences.",
    ),
    (
        "Wilson interval",
        "A 95 % interval of a share, such as the share of test images that one run gets wrong.",
    ),
    ("compiled", "Trained by the loop of this project instead of Keras fit."),
)


_REPLAY = ("replay", "The published runs, repeated with their own settings.")


def section(evidence: Evidence) -> Section:
    """Tabulate the terms that this report uses."""
    terms = [*_TERMS, _REPLAY] if evidence.replay else _TERMS
    table = Table(["term", "meaning"], [list(term) for term in terms])
    return Section("terms", "Terms", [table], about="What the words of this report mean.")
