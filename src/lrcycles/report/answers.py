"""Words the answer: what to use, what cycling gains, and how sure both are."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.answer import Answer, Certainty, answer
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.estimates import FEWEST
from lrcycles.evidence.families import Family, Outcome, Reason
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import counted, listed, number
from lrcycles.report.names import to_use, with_noun

_MOST_TO_USE = 2  # arms in the answer: more would need more figures than a line should hold
_MOST_ASKED = 3  # comparisons of the first screen
_MOST_FAILING = 2  # arms whose failures are counted one by one
_OPEN = (Outcome.UNDECIDED, Outcome.NO_VERDICT, Outcome.NOT_COMPARABLE)


def headlines(evidence: Evidence) -> list[str]:
    """Word the failures, then what to use, or which of two results makes fewer errors."""
    failures = _failures(evidence)
    if evidence.of_stages is None:
        return [*failures, _of_two(evidence)]
    found = answer(evidence)
    if found is None:
        return [*failures, "No run trained, so there is nothing to use."]
    words = [_use(found, evidence), *_about_cycles(found, evidence)]
    if found.certainty != Certainty.NO_VERDICT and found.error.n >= FEWEST:
        words.append(f"Expect {number(found.error.mean)} % errors.")
    return [*failures, " ".join(words)]


def lines(evidence: Evidence) -> list[str]:
    """Word what was gained against each arm, how sure it is, and what would decide the rest."""
    compared = asked(evidence)
    above = _alone(evidence)  # the headline words it
    words = _differences([one for one in compared if one is not above], evidence)
    return [*words, *_sure(compared), *verdicts.robust(compared, evidence)]


def asked(evidence: Evidence) -> list[Comparison]:
    """List the comparisons in error that carry the answer, or else the gain of the choice."""
    candidates = evidence.of(Quantity.ERROR, Role.CANDIDATE)
    if evidence.of_stages is None:
        return candidates
    primary = [one for one in candidates if one.family == Family.PRIMARY]
    found = answer(evidence)
    gain = [found.gain] if found and found.gain else []
    return (primary or candidates or gain)[:_MOST_ASKED]


def shown_arms(evidence: Evidence) -> list[str]:
    """Name the arms of the first screen: the baseline, what is asked about, and what to use."""
    names = [evidence.baseline] if evidence.of_stages else []
    for one in asked(evidence):
        names += [one.against, one.arm]
    found = answer(evidence) if evidence.of_stages else None
    names += _choice(found, evidence) if found else []
    return list(dict.fromkeys(names))


def _choice(found: Answer, evidence: Evidence) -> list[str]:
    """Name the arms to use: the simplest, and an alternative that is known well enough.

    An arm that the report asks about comes before other alternatives.
    """
    first, *others = found.use
    asked_about = {one.arm for one in asked(evidence)}
    others = [name for name in others if _known_as_good(name, first, found, evidence)]
    others.sort(key=lambda name: name not in asked_about)
    return [first, *others][:_MOST_TO_USE]


def _known_as_good(name: str, first: str, found: Answer, evidence: Evidence) -> bool:
    """Whether an arm that is close to the first choice fails no more often, and is no guess.

    It is equivalent, or better than the constant rate, or the seeds alone place it within the
    margin: then only other test images could tell the two apart.
    """
    if found.failed.get(name, (0, 0))[0] > found.failed.get(first, (0, 0))[0]:
        return False
    gain = evidence.error(name, evidence.baseline)
    pair = evidence.error(name, first) or evidence.error(first, name)
    if pair is None or pair.estimate is None or pair.margin is None:
        return False
    of_seeds, _ = pair.estimate.halves()
    near = of_seeds is not None and of_seeds <= pair.margin
    return (
        near or pair.outcome == Outcome.EQUIVALENT or (gain is not None and gain.outcome.is_better)
    )


def _failures(evidence: Evidence) -> list[str]:
    """Word how many runs failed of the arms that the first screen shows, in one line."""
    arms = [evidence.arms[name] for name in shown_arms(evidence)]
    failing = [arm for arm in arms if arm.failed]
    if len(failing) > _MOST_FAILING:
        return [f"Runs of {len(failing)} arms failed: {listed([arm.name for arm in failing])}."]
    words = []
    for arm in failing:
        what = "diverged" if len(arm.failed) == len(arm.diverged) else "failed"
        runs = f"{len(arm.failed)} of {counted(len(arm.cells), 'run')}"
        words.append(f"{runs} of {_called(arm.name, evidence)} {what}.")
    return words


def _use(found: Answer, evidence: Evidence) -> str:
    arms = [evidence.arms[name] for name in _choice(found, evidence)]
    if found.certainty == Certainty.DECIDED:
        gains = [evidence.error(arm.name, evidence.baseline) for arm in arms]
        fewer = all(one is not None and _fewer_errors(one) for one in gains)
        text = ", or ".join(to_use(arms))
        return f"Use {text}{': fewer errors than a constant rate' if fewer else ''}."
    first = to_use(arms[:1])[0]
    verb = "Keep" if arms[0].name == evidence.baseline else "Use"
    if found.certainty == Certainty.LEVEL:
        return f"{verb} {first}: nothing that was tried makes fewer errors."
    if found.certainty == Certainty.OPEN:
        return f"{verb} {first} for now: nothing is shown to make fewer errors."
    if not asked(evidence):
        return "There is no verdict, because no two arms were compared."
    names = listed([_called(name, evidence) for name in shown_arms(evidence)])
    return f"There is no verdict between {names}."


def _fewer_errors(comparison: Comparison) -> bool:
    found = comparison.estimate
    return comparison.outcome == Outcome.BETTER and found is not None and found.mean < 0


def _about_cycles(found: Answer, evidence: Evidence) -> list[str]:
    """Word what an arm that the report asks about gains over the choice, if it is not chosen."""
    if found.certainty != Certainty.DECIDED:
        return []
    words, choice = [], _choice(found, evidence)
    for one in asked(evidence):
        if one.against != choice[0] or one.arm in choice:
            continue
        name = _called(one.arm, evidence)
        if one.outcome.is_worse and one.failed[0] <= one.failed[1]:
            words.append(f"{name} makes more errors.")
        elif one.outcome == Outcome.EQUIVALENT:
            words.append(f"{name} gains nothing over it.")
        elif one.outcome == Outcome.UNDECIDED:
            words.append(f"It is undecided whether {name} makes fewer.")
    return words


def _of_two(evidence: Evidence) -> str:
    """Word the comparison of two results, or in how many arms the second one is better."""
    if alone := _alone(evidence):
        return verdicts.sentence(alone, evidence)
    compared = asked(evidence)
    differing = sum(one.verdict.reason != Reason.SAME for one in compared)
    if not differing:
        return "Both results are the same trainings."
    fewer = sum(one.outcome.is_better for one in compared)
    more = sum(one.outcome.is_worse for one in compared)
    arms = counted(differing, "arm")
    return (
        f"The second result makes fewer errors in {fewer or 'none'} of {arms}, and more errors in "
        f"{more or 'none'}."
    )


def _alone(evidence: Evidence) -> Comparison | None:
    """Give the only comparison of two results, or the only one that is not of equal trainings."""
    compared = asked(evidence) if evidence.of_stages is None else []
    differing = [one for one in compared if one.verdict.reason != Reason.SAME]
    if len(compared) == 1 or len(differing) == 1:
        return (differing or compared)[0]
    return None


def _called(name: str, evidence: Evidence) -> str:
    """Write an arm's name with its schedule in words; two results have names of their own."""
    return name if evidence.of_stages is None else with_noun(evidence.arms[name])


def _differences(compared: Sequence[Comparison], evidence: Evidence) -> list[str]:
    """Word each difference in one line, once what pairs too few cannot show."""
    words, few = [], 0
    same = [one for one in compared if one.verdict.reason == Reason.SAME]
    for one in compared:
        if one in same and len(same) > 1:
            continue
        found = one.estimate
        if found is not None and found.n < FEWEST and one.outcome == Outcome.NO_VERDICT:
            few = max(few, found.n)
            continue
        names = [_called(name, evidence) for name in (one.arm, one.against)]
        words.append(verdicts.sentence(one, evidence, *names))
    if few:
        words.append(f"{counted(few, 'pair')} of runs cannot show a difference.")
    if len(same) > 1:
        pairs = listed([one.title for one in same])
        words.append(f"These pairs are the same trainings: {pairs}.")
    return words


def _sure(compared: Sequence[Comparison]) -> list[str]:
    """Word what would decide the open comparisons, and how sure the others are."""
    decided = [one for one in compared if one.outcome not in _OPEN]
    titles: dict[str, list[str]] = {}
    for one in compared:
        if advice := verdicts.advice(one):
            titles.setdefault(advice, []).append(one.title)
    words = [
        advice if len(of) == len(compared) - len(decided) else f"For {listed(of)}: {advice}"
        for advice, of in titles.items()
    ]
    if not decided:
        return words
    seeds = counted(max(one.seeds for one in decided), "seed")
    if len(decided) == len(compared):
        return [f"This is decided at {seeds}, for other seeds and other test images."]
    what = "The other verdict is" if len(decided) == 1 else "The other verdicts are"
    return [" ".join([*words[:1], f"{what} decided at {seeds}."]), *words[1:]]
