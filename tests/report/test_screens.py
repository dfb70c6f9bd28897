"""Does the first screen of each kind of experiment answer its own question?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lrcycles.config.schema import Reference
from lrcycles.evidence.answer import Question, answer, question
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.budgets import PeakSearch
from lrcycles.evidence.comparisons import Pair, Role
from lrcycles.evidence.families import Family
from lrcycles.evidence.gather import Stages
from lrcycles.evidence.weigh import Evidence
from lrcycles.report.screens import budgets as screen_of_budgets
from lrcycles.report.section import Lead, Picture, Points, Section, Table
from lrcycles.report.sections import short
from tests.report_inputs import arm, weighed

STAGES = Stages(Path(), {}, {}, {}, pd.DataFrame(), {"warnings": []}, [])
LEVEL = {seed: 1.8 + 0.02 * (seed % 5) for seed in range(8)}
WOBBLE = [0.01, -0.02, 0.02, -0.01, 0.02, -0.01, 0.01, -0.02]


def shifted(by: float, wobble: float = 1.0, sign: int = 1) -> dict[int, float | None]:
    """Errors that differ from LEVEL by about as much in every seed."""
    return {
        seed: round(error + by + sign * wobble * WOBBLE[seed], 2) for seed, error in LEVEL.items()
    }


def on_screen(evidence: Evidence) -> tuple[str, list[str], Section]:
    """The lead and the lines of the first screen."""
    section = short.section(evidence)
    lead = " ".join(next(block for block in section.blocks if isinstance(block, Lead)).lines)
    points = [block.lines for block in section.blocks if isinstance(block, Points)]
    lines = [line for lines in points for line in lines]
    for line in lines:
        assert len(re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", line)) <= 3, line
    assert sum(isinstance(block, Picture) for block in section.blocks) <= 1
    return lead.replace("\N{MINUS SIGN}", "-"), lines, section


FACTORS = {"none": [], "one": ["batch"], "other": ["rate"], "both": ["batch", "rate"]}


def factorial(batch: float, rate: float, **more: Any) -> Evidence:
    errors = {
        name: shifted(batch * ("batch" in own) + rate * ("rate" in own), sign=(-1) ** place)
        for place, (name, own) in enumerate(FACTORS.items())
    }
    errors["one"] |= more.pop("failed", {})
    arms = [arm(name, errors[name]) for name in FACTORS]
    return weighed(arms, [], factors=FACTORS, stages=STAGES, **more)


@pytest.mark.parametrize(
    ("batch", "rate", "lead"),
    [
        (-0.3, 0.0, "Of the gain from none to both of 0.30 points, most comes from batch. "
         "No effect is shown for rate."),
        (-0.3, 0.1, "The gain from none to both of 0.20 points comes from batch, which alone gives "
         "more. Errors are added by rate."),
        (-0.2, -0.2, "Of the gain from none to both of 0.40 points, 50 % comes from batch and 50 % "
         "comes from rate."),
        (0.3, 0.0, "Of the loss from none to both of 0.30 points, most comes from batch. No effect "
         "is shown for rate."),
        (0.0, 0.0, "No change shows between none and both. No effect is shown for batch and rate."),
        (-0.3, 0.3, "No change shows between none and both. Errors are taken away by batch. Errors "
         "are added by rate."),
    ],
)  # fmt: skip
def test_a_factorial_names_the_factors_that_show_and_those_that_do_not(batch, rate, lead):
    found, _, section = on_screen(factorial(batch, rate))
    assert found == lead
    assert len(next(block for block in section.blocks if isinstance(block, Table)).rows) == 3


def test_a_factorial_of_the_replay_speaks_of_the_published_gain_and_never_of_cycles():
    evidence = factorial(-0.3, 0.0, replay=["none", "both"])
    lead, lines, _ = on_screen(evidence)
    assert lead.startswith("Of the published gain of 0.30 points, most comes from batch.")
    assert "cycl" not in short.title(evidence) + lead + " ".join(lines)


def test_failed_runs_stand_before_the_factors():
    lead, lines, _ = on_screen(factorial(-0.3, 0.0, failed={3: None}))
    assert lead.startswith("1 of 8 runs of one (constant rate) diverged. Of the gain")
    assert lines[0].startswith("The effects rest on 7 seeds that trained in every arm.")


def test_a_factorial_that_is_incomplete_says_what_is_missing():
    arms = [arm(name, LEVEL) for name in ("none", "one")]
    lead, _, _ = on_screen(weighed(arms, [], factors=FACTORS, stages=STAGES))
    assert lead.endswith("because other and both were not trained.")


def test_what_a_new_optimizer_changes_has_a_line():
    arms = [
        arm("none", LEVEL),
        arm("more", shifted(-0.1), continues="none"),
        arm("twenty", shifted(-0.1, sign=-1), epochs=20),
    ]
    pair = Pair("more", "twenty", Role.OTHER)
    factors = {"none": [], "more": ["ten more epochs"]}
    _, lines, _ = on_screen(weighed(arms, [pair], factors=factors, stages=STAGES))
    begins = "A new optimizer in the middle, as in more, changes the error by 0.00 ("
    assert any(line.startswith(begins) for line in lines)


def rates(first: float, last: float) -> list[float]:
    return [first] * 2749 + [last]


def cause(to_peak: float, down: float, seeds: int = 8) -> Evidence:
    """Cycles, the same cycles that end high, and one fall."""
    between = {"base_lr": 0.001, "max_lr": 0.01}
    arms = [
        arm("clr", shifted(0), group="clr", schedule="triangular", rates=rates(0.001, 0.001),
            **between),
        arm("peak", shifted(to_peak, sign=-1), schedule="triangular", rates=rates(0.001, 0.01),
            **between),
        arm("down", shifted(down, 0.5), schedule="linear_decay", rates=rates(0.01, 0.001),
            **between),
    ]  # fmt: skip
    arms = [_first_seeds(each, seeds) for each in arms]
    pairs = [Pair("clr", other, Role.CANDIDATE, Family.PRIMARY) for other in ("peak", "down")]
    return weighed(arms, pairs, stages=STAGES)


def _first_seeds(one: Arm, seeds: int) -> Arm:
    return replace(one, cells={seed: cell for seed, cell in one.cells.items() if seed < seeds})


END = "Where the rate ends matters: clr ends low and makes {} errors than peak, which ends high."


@pytest.mark.parametrize(
    ("to_peak", "down", "seeds", "lead"),
    [
        (0.3, 0.0, 8, f"{END.format('fewer')} Cycling gains nothing: clr is level with down, which "
         "has no cycles."),
        (0.3, 0.3, 8, f"{END.format('fewer')} Cycling helps: clr makes fewer errors than down, "
         "which has no cycles."),
        (-0.3, -0.3, 8, f"{END.format('more')} Cycling does harm: clr makes more errors than down, "
         "which has no cycles."),
        (0.0, 0.04, 8, "Where the rate ends does not matter. It is open whether cycling gains "
         "anything."),
        (0.3, 0.0, 6, "There is no verdict between clr (cycles), peak (cycles) and down (linear "
         "decay)."),
    ],
)  # fmt: skip
def test_the_end_of_the_schedule_is_told_from_its_cycles(to_peak, down, seeds, lead):
    evidence = cause(to_peak, down, seeds)
    assert question(evidence) == Question.CAUSE
    assert on_screen(evidence)[0] == lead


def budgets(**more: Any) -> Evidence:
    arms, pairs = [], []
    for epochs, decay, cycles in ((1, -0.3, -0.3), (3, 0.0, -0.3)):
        settings = {"epochs": epochs, "steps": 275 * epochs}
        arms += [
            arm(f"constant_{epochs}", shifted(0.0), group="baseline", base_lr=0.002, **settings),
            arm(f"linear_decay_{epochs}", shifted(decay, sign=-1), schedule="linear_decay",
                base_lr=0.0, max_lr=0.004, **settings),
            arm(f"triangular_{epochs}", shifted(cycles, 0.5), group="clr", schedule="triangular",
                base_lr=0.0001, max_lr=0.008, step_size=45 * epochs, **settings),
        ]  # fmt: skip
        decayed = f"linear_decay_{epochs}"
        pairs += [
            Pair(f"triangular_{epochs}", decayed, Role.CANDIDATE, Family.SCHEDULES),
            Pair(decayed, f"constant_{epochs}", Role.CONTROL, Family.SCHEDULES),
        ]
        pairs += [
            Pair(f"triangular_{epochs}", f"constant_{epochs}", Role.CANDIDATE, Family.PRIMARY)
        ]
    return weighed(arms, pairs, stages=replace(STAGES, **more))


def test_every_length_has_its_own_answer():
    lead, _, section = on_screen(budgets())
    assert lead == (
        "triangular (cycles) is better than linear_decay at 1 of 2 lengths, and worse at none. "
        "1 epoch: use a linear decay from 0.004, or cycles up to 0.008: fewer errors than a "
        "constant rate. Expect 1.53 % errors. "
        "3 epochs: use cycles up to 0.008: fewer errors than the constant rate 0.002. Expect "
        "1.53 % errors."
    )
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["constant", "linear_decay", "triangular"]
    assert list(table.head[1:]) == ["1 epoch", "3 epochs"]


def test_a_peak_at_the_end_of_the_rates_is_warned_of_on_the_first_screen():
    inside = {0.002: 3.0, 0.004: 2.0, 0.008: 2.5}
    searches = {
        "linear_decay_1": PeakSearch("linear_decay_1", 0.004, inside, {}),
        "triangular_1": PeakSearch("triangular_1", 0.008, {**inside, 0.008: 1.5}, {}),
    }
    _, lines, section = on_screen(budgets(peak_searches=searches))
    assert lines[-1].startswith("triangular_1 has its best peak at an end of the rates")
    assert [b.name for b in section.blocks if isinstance(b, Picture)] == ["peaks"]


@pytest.mark.parametrize(
    ("steepness", "words"),
    [
        (2.0, "triangular_1 is less sensitive to its peak rate than linear_decay_1: the range of "
         "good peaks is 2.00 times as wide"),
        (0.5, "triangular_1 is more sensitive"),
        (1.0, "triangular_1 is not shown to be less sensitive"),
    ],
)  # fmt: skip
def test_the_sensitivity_to_the_peak_rate_is_compared_with_the_decay(steepness, words):
    def search(name: str, slope: float) -> PeakSearch:
        errors = {0.002: [2.0 * 2**slope] * 8, 0.004: [2.0] * 8, 0.008: [2.0 * 2**slope] * 8}
        return PeakSearch(name, 0.004, {peak: own[0] for peak, own in errors.items()}, errors)

    searches = {
        "linear_decay_1": search("linear_decay_1", steepness),
        "triangular_1": search("triangular_1", 1.0),
    }
    evidence = budgets(peak_searches=searches)
    pair = evidence.error("triangular_1", "linear_decay_1")
    found = screen_of_budgets.sensitive([pair], evidence)
    assert len(found) == 1
    assert found[0].startswith(words)
    assert on_screen(evidence)[0].startswith("Each at its own best peak rate: triangular (cycles)")


def test_the_rows_of_a_paper_are_named_by_how_they_differ():
    rows = {"same": Reference(1.84, 0.05, 4), "more": Reference(1.2, 0.05, 4)}
    rows |= {"fewer": Reference(2.5, 0.05, 4), "absent": Reference(1.0, 0.1, 4)}
    arms = [arm(name, LEVEL) for name in ("same", "more", "fewer")]
    evidence = weighed(arms, [], reference=rows, stages=STAGES)
    lead, _, section = on_screen(evidence)
    assert lead.startswith(
        "more makes more errors here than in the paper. fewer makes fewer errors here than in the "
        "paper. No difference from the paper is shown for same."
    )
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["same", "more", "fewer"]


def test_optimizers_are_counted_by_their_verdicts():
    arms, pairs = [], []
    for name, by in (("adam", -0.3), ("sgd", 0.3), ("rmsprop", 0.0)):
        fixed = arm(f"{name}_fixed", shifted(0.0), base_lr=0.001)
        cycles = arm(f"{name}_clr", shifted(by, sign=-1), schedule="triangular", base_lr=0.001,
                     max_lr=0.006)  # fmt: skip
        optimizer = {"name": name, "arguments": {}}
        for each in (fixed, cycles):
            cells = {s: replace(cell, optimizer=optimizer) for s, cell in each.cells.items()}
            arms.append(replace(each, cells=cells))
        pairs.append(Pair(cycles.name, fixed.name, Role.CONTROL, Family.SCHEDULES))
    evidence = weighed(arms, pairs, stages=STAGES)
    assert question(evidence) == Question.OPTIMIZERS
    lead, lines, _ = on_screen(evidence)
    assert lead == (
        "Cycles are better than a constant rate in 1 of 3 pairs with the same optimizer, and "
        "worse in 1."
    )
    assert lines[0].startswith("The constant rate of every pair is the lowest rate of the cycles.")
    assert "These are worse: sgd_clr vs sgd_fixed." in lines


def chain(*wins: tuple[str, str]) -> Evidence:
    """Arms of which the first of each pair makes fewer errors; unnamed pairs differ too little."""
    names = ("baseline", "linear_decay", "cosine", "welch")
    better = {"baseline": 0.0, "linear_decay": 0.0, "cosine": 0.0, "welch": 0.0}
    for winner, loser in wins:
        better[winner] = better[loser] - 0.3
    arms = [
        arm(name, shifted(better[name], sign=(-1) ** place),
            group="baseline" if name == "baseline" else "controls",
            schedule="constant" if name == "baseline" else name, base_lr=0.0, max_lr=0.01)
        for place, name in enumerate(names)
    ]  # fmt: skip
    pairs = [
        Pair("linear_decay", "baseline", Role.CONTROL, Family.SCHEDULES),
        Pair("cosine", "linear_decay", Role.CONTROL, Family.SCHEDULES),
        Pair("welch", "linear_decay", Role.CONTROL, Family.SCHEDULES),
    ]
    return weighed(arms, pairs, stages=STAGES)


def test_only_a_gain_over_the_constant_rate_is_an_answer():
    """To beat an arm that is no better than the constant rate recommends nothing."""
    beats_welch = chain(("linear_decay", "welch"), ("baseline", "welch"))
    found = answer(beats_welch)
    assert found is not None
    assert (found.use[0], found.certainty.value) == ("baseline", "open")
    through_the_decay = answer(chain(("linear_decay", "baseline"), ("cosine", "linear_decay")))
    assert through_the_decay is not None
    assert (through_the_decay.use[0], through_the_decay.certainty.value) == ("cosine", "decided")


def test_an_arm_that_is_no_better_is_named_with_what_it_was_compared_with():
    arms = [
        arm("baseline", shifted(0.0), group="baseline"),
        arm("linear_decay", shifted(-0.4, sign=-1), schedule="linear_decay", base_lr=0.0,
            max_lr=0.01),
        arm("cosine", shifted(-0.4, 0.5), schedule="cosine", base_lr=0.0, max_lr=0.02),
        arm("clr", shifted(-0.34, 4.0), group="clr", schedule="triangular", base_lr=0.001,
            max_lr=0.01),
    ]  # fmt: skip
    pairs = [Pair("clr", "linear_decay", Role.CANDIDATE, Family.PRIMARY)]
    pairs += [Pair("cosine", "linear_decay", Role.CONTROL, Family.SCHEDULES)]
    pairs += [Pair("linear_decay", "baseline", Role.CONTROL, Family.SCHEDULES)]
    lead, _, _ = on_screen(weighed(arms, pairs, stages=STAGES))
    assert lead == (
        "Use a linear decay from 0.01: fewer errors than a constant rate. cosine does as well. "
        "clr (cycles) is not shown to beat linear_decay. Expect 1.43 % errors."
    )
