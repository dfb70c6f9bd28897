"""Words the answer: what to use, what cycling gains, and how sure both are."""

from __future__ import annotations

from collections.abc import Sequence

from lrcycles.evidence.answer import Answer, Certainty, answer
from lrcycles.evidence.arms import Arm
from lrcycles.evidence.comparisons import Comparison, Quantity, Role
from lrcycles.evidence.families import Family, Outcome, Reason
from lrcycles.evidence.paired import FEWEST
from lrcycles.evidence.weigh import Evidence
from lrcycles.report import verdicts
from lrcycles.report.formatting import counted, listed, number, rate
from lrcycles.report.names import to_use, with_noun

_MOST_TO_USE = 2  # arms in the answer: more would need more figures than a line should hold
_MOST_ASKED = 3  # comparisons of the first screen
_MOST_FAILING = 2  # arms whose failures are counted one by one
_MOST_NAMED = 5  # failing arms in a sentence
_OPEN = (Outcome.UNDECIDED, Outcome.NO_VERDICT, Outcome.NOT_COMPARABLE)


def headlines(evidence: Evidence) -> list[str]:
    """Word the failures, then what to use, or which of two results makes fewer errors."""
    failed = failures(evidence, shown_arms(evidence))
    if evidence.of_stages is None:
        return [*failed, _of_two(evidence)]
    found = answer(evidence)
    if found is None:
        return [*failed, "No run trained, so there is nothing to use."]
    words = _about_cycles(found, evidence)
    if not words and (best := contender(found, evidence)):
        words = [_undecided(best, found.use[0], evidence)]
    words = [use(found, evidence), *words, *expected(found)]
    return [*failed, " ".join(words)]


def lines(evidence: Evidence) -> list[str]:
    """Word what was gained against each arm, how sure it is, and what would decide the rest."""
    above = _alone(evidence)  # the headline words it
    return about(asked(evidence), evidence, above)


def about(
    compared: Sequence[Comparison], evidence: Evidence, above: Comparison | None = None
) -> list[str]:
    """Word comparisons, how sure they are, and what would decide the open ones.

    Args:
        above: the one whose difference the headline words.
    """
    words = _differences([one for one in compared if one is not above], evidence)
    return [
        *words,
        *_sure([one for one in compared if not _same(one)]),
        *verdicts.robust(compared, evidence),
    ]


def asked(evidence: Evidence) -> list[Comparison]:
    """List the comparisons that carry the answer, and the gain of the choice if it is shown."""
    candidates = evidence.of(Quantity.ERROR, Role.CANDIDATE)
    if evidence.of_stages is None:
        return candidates
    primary = [one for one in candidates if one.family == Family.PRIMARY]
    gain = [one for one in _gain(evidence) if one.outcome.is_better or not candidates]
    first = (primary or candidates)[:_MOST_ASKED]
    return [*first, *(one for one in gain if one not in first)]


def shown(evidence: Evidence) -> list[Comparison]:
    """List what is asked about, without equal trainings, unless there is nothing else."""
    compared = asked(evidence)
    return [one for one in compared if not _same(one)] or compared


def shown_arms(evidence: Evidence) -> list[str]:
    """Name the arms of the first screen: the baseline, what is asked about, and what to use."""
    names = [evidence.baseline] if evidence.of_stages else []
    for one in shown(evidence):
        names += [one.against, one.arm]
    found = answer(evidence) if evidence.of_stages else None
    names += _choice(found) if found else []
    return list(dict.fromkeys(names))


def _same(comparison: Comparison) -> bool:
    return comparison.verdict.reason == Reason.SAME


def _choice(found: Answer) -> list[str]:
    return found.use[:_MOST_TO_USE]


def _gain(evidence: Evidence) -> list[Comparison]:
    """Give the comparison of the choice with the constant rate, if there is one."""
    found = answer(evidence)
    if found is None:
        return []
    pair = found.use[0], found.constant
    both = evidence.error(*pair), evidence.error(*reversed(pair))
    return [one for one in both if one is not None]


def failures(evidence: Evidence, names: Sequence[str]) -> list[str]:
    """Word how many runs of these arms failed, in one line."""
    failing = [evidence.arms[name] for name in names if evidence.arms[name].failed]
    if len(failing) > _MOST_NAMED:
        return [f"Runs of {len(failing)} arms failed. The warnings below name them."]
    if len(failing) > _MOST_FAILING:
        return [f"Runs of {len(failing)} arms failed: {listed([arm.name for arm in failing])}."]
    words = []
    for arm in failing:
        what = "diverged" if len(arm.failed) == len(arm.diverged) else "failed"
        runs = f"{len(arm.failed)} of {counted(len(arm.cells), 'run')}"
        words.append(f"{runs} of {called(arm.name, evidence)} {what}.")
    return words


def use(found: Answer, evidence: Evidence) -> str:
    """Word what to use, and how sure that is."""
    arms = [evidence.arms[name] for name in _choice(found)]
    if found.certainty == Certainty.DECIDED:
        return _decided(arms, evidence.arms[found.constant], evidence)
    first = to_use(arms[:1])[0]
    verb = "Keep" if arms[0].name == evidence.baseline else "Use"
    if found.certainty == Certainty.LEVEL:
        return f"{verb} {first}: nothing that was tried makes fewer errors."
    if found.certainty == Certainty.OPEN:
        return f"{verb} {first} for now: nothing is shown to make fewer errors."
    if not asked(evidence):
        return "There is no verdict, because no two arms were compared."
    if any(one.outcome not in _OPEN for one in asked(evidence)):
        return "Too few arms trained to say what to use."
    return no_verdict(shown_arms(evidence), evidence)


def _decided(arms: Sequence[Arm], constant: Arm, evidence: Evidence) -> str:
    """Word the choice, and that it makes fewer errors than a constant rate where that is judged."""
    gains = [evidence.error(arm.name, constant.name) for arm in arms]
    fewer = [one is not None and _fewer_errors(one) for one in gains]
    first, *others = to_use(arms)
    if not fewer[0]:
        every = evidence.of(Quantity.ERROR)
        beaten = [one.against for one in every if one.arm == arms[0].name and _fewer_errors(one)]
        if not beaten or others:
            return f"Use {', or '.join([first, *others])}."
        if evidence.arms[beaten[0]].settings.schedule.name == arms[0].settings.schedule.name:
            first = f"{arms[0].name}, {first}"  # else both would read alike
        return f"Use {first}: fewer errors than {called(beaten[0], evidence)}."
    than = called(constant.name, evidence)
    if constant.settings.schedule.name == "constant":
        own = rate(constant.settings.schedule.base_lr)
        # One more figure than a line should hold, where two arms are named.
        than = f"the constant rate {own}" if len(arms) == 1 else "a constant rate"
    if all(fewer):
        return f"Use {', or '.join([first, *others])}: fewer errors than {than}."
    return f"Use {first}: fewer errors than {than}. {called(arms[1].name, evidence)} does as well."


def contender(found: Answer, evidence: Evidence) -> str | None:
    """Name the arm with the fewest errors if it is not chosen because its verdict is open."""
    first = found.use[0]
    below = {
        one.arm: one.estimate.mean
        for one in evidence.of(Quantity.ERROR)
        if one.against == first and one.arm not in _choice(found) and one.estimate is not None
        if one.outcome == Outcome.UNDECIDED and one.failed[0] <= one.failed[1]
    }
    best = min(below, key=lambda name: below[name], default=None)
    if best is None or found.certainty != Certainty.DECIDED or below[best] >= 0:
        return None
    return best


def no_verdict(names: Sequence[str], evidence: Evidence) -> str:
    """Word that no verdict was possible between arms."""
    arms = [called(name, evidence) for name in names]
    return f"There is no verdict between {listed(arms)}."


def expected(found: Answer) -> list[str]:
    """Word the error of the choice, where enough runs trained."""
    if found.certainty == Certainty.NO_VERDICT or found.error.n < FEWEST:
        return []
    return [f"Expect {number(found.error.mean)} % errors."]


def _fewer_errors(comparison: Comparison) -> bool:
    found = comparison.estimate
    return comparison.outcome == Outcome.BETTER and found is not None and found.mean < 0


def _about_cycles(found: Answer, evidence: Evidence) -> list[str]:
    """Word what an arm that the report asks about gains over the choice, if it is not chosen."""
    if found.certainty not in (Certainty.DECIDED, Certainty.LEVEL):
        return []
    words, choice = [], _choice(found)
    for one in asked(evidence):
        if one.against != choice[0] or one.arm in choice:
            continue
        name, other = called(one.arm, evidence), called(one.against, evidence)
        if one.outcome.is_worse and one.failed[0] <= one.failed[1]:
            words.append(f"{name} makes more errors.")
        elif one.outcome == Outcome.EQUIVALENT and found.certainty == Certainty.DECIDED:
            words.append(f"{name} gains nothing over {other}.")
        elif one.outcome == Outcome.UNDECIDED and one.estimate is not None:
            open_words = f"{name} is not shown to beat {other}."
            constant = evidence.error(one.arm, found.constant)
            is_rate = evidence.arms[found.constant].settings.schedule.name == "constant"
            if is_rate and constant is not None and _fewer_errors(constant):
                open_words = f"{name} also beats that rate, but is not shown to beat {other}."
            if one.estimate.mean < 0:
                open_words = _undecided(one.arm, one.against, evidence)
            words.append(open_words)
    return words


def _undecided(name: str, against: str, evidence: Evidence) -> str:
    names = called(name, evidence), called(against, evidence)
    return f"It is undecided whether {names[0]} makes fewer errors than {names[1]}."


def _of_two(evidence: Evidence) -> str:
    """Word the comparison of two results, or in how many arms the second one is better."""
    if alone := _alone(evidence):
        return verdicts.sentence(alone, evidence)
    compared = asked(evidence)
    differing = sum(not _same(one) for one in compared)
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
    differing = [one for one in compared if not _same(one)]
    if len(compared) == 1 or len(differing) == 1:
        return (differing or compared)[0]
    return None


def called(name: str, evidence: Evidence) -> str:
    """Write an arm's name with its schedule in words; two results have names of their own."""
    return name if evidence.of_stages is None else with_noun(evidence.arms[name])


def _differences(compared: Sequence[Comparison], evidence: Evidence) -> list[str]:
    """Word each difference in one line, once what pairs too few cannot show."""
    words, few = [], 0
    same = [one for one in compared if _same(one)]
    for one in compared:
        if one in same and len(same) > 1:
            continue
        found = one.estimate
        if found is not None and found.n < FEWEST and one.outcome == Outcome.NO_VERDICT:
            few = max(few, found.n)
            continue
        names = [called(name, evidence) for name in (one.arm, one.against)]
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
        advice if len(of) == len(compared) else f"For {listed(of)}: {advice}"
        for advice, of in titles.items()
    ]
    if not decided:
        return words
    seeds = counted(max(one.seeds for one in decided), "seed")
    if len(decided) == len(compared):
        what = "This is" if len(decided) == 1 else "These differences are"
        return [f"{what} decided at {seeds}, for other seeds and other test images."]
    return words
