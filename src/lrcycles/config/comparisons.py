"""Checks which comparisons the report is asked for, and warns of those without a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations

from lrcycles.config import plain
from lrcycles.config.limits import may_name_an_arm
from lrcycles.config.resolve import seed_list
from lrcycles.config.schema import GROUPS, LOOKS, MOST_PRIMARY, ArmConfig, Config, TrainingSet
from lrcycles.errors import InputError

_RESEMBLES = 0.8  # of difflib: one letter of five may differ
_MOST_CHANGES = 6  # of a factorial: it has 64 arms


def check_comparisons(config: Config) -> None:
    """Raise InputError on the first comparison that makes no sense."""
    _check_primary(config.report.primary)
    _check_factors(config.report.factors, _arms(config))
    for group in GROUPS:
        for name in getattr(config.arms, group):
            _check_against(config, group, name)


def warnings(config: Config) -> list[str]:
    """Return a sentence for everything that would leave a comparison without its verdict."""
    return [*_resembling(config), *_few_seeds(config), *_aimless_target(config)]


def _arms(config: Config) -> dict[str, ArmConfig]:
    return {name: arm for group in GROUPS for name, arm in getattr(config.arms, group).items()}


def _check_primary(primary: Mapping[str, Sequence[str]]) -> None:
    """Names that this experiment does not train are right: another experiment may train them."""
    pairs = [(arm, other) for arm, others in primary.items() for other in others]
    names = [*primary, *(other for others in primary.values() for other in others)]
    if wrong := [name for name in names if not may_name_an_arm(name)]:
        raise InputError(
            "report.primary must hold names of arms, each with a list of other arms. "
            f"Received: {plain.received(wrong[0])}. Set report.primary.clr=[baseline], for example."
        )
    for arm, other in pairs:
        if arm == other:
            raise InputError(
                "report.primary must compare an arm with other arms. "
                f"Received: report.primary.{arm}={plain.received(primary[arm])}. Remove {other} "
                "from the list."
            )
        if sum({one, another} == {arm, other} for one, another in pairs) > 1:
            raise InputError(
                f"report.primary must hold each pair once. Received: {arm} and {other} twice. "
                "Remove one of the two."
            )
    if len(pairs) > MOST_PRIMARY:
        raise InputError(
            f"report.primary must hold at most {MOST_PRIMARY} pairs, because they share 5 % false "
            f"verdicts. Received: {len(pairs)} pairs. Move the others to `against` of their arms."
        )


def _check_factors(factors: Mapping[str, Sequence[str]], arms: Mapping[str, ArmConfig]) -> None:
    if not factors:
        return
    if missing := [name for name in factors if name not in arms]:
        raise InputError(
            f"Every key of report.factors must be an arm, one of {', '.join(sorted(arms))}. "
            f"Received: report.factors.{missing[0]}. Add the arm, or remove the key with "
            f"~report.factors.{missing[0]}."
        )
    changes = list(dict.fromkeys(change for own in factors.values() for change in own))
    if not 1 <= len(changes) <= _MOST_CHANGES:
        raise InputError(
            f"report.factors must name from 1 to {_MOST_CHANGES} changes in all. "
            f"Received: {len(changes)}. Name the changes of every arm, as in "
            f"report.factors.{next(iter(factors))}=[batch]."
        )
    arms_of: dict[frozenset[str], list[str]] = {}
    for name, own in factors.items():
        arms_of.setdefault(frozenset(own), []).append(name)
        if len(set(own)) < len(own):
            raise InputError(
                f"report.factors.{name} must name each change once. "
                f"Received: {plain.received(own)}. Remove the second of two equal names."
            )
    rule = "report.factors must have one arm for every combination of its changes"
    for of_equal in arms_of.values():
        if len(of_equal) > 1:
            raise InputError(
                f"{rule}. Received: {' and '.join(of_equal)} with the same changes. Remove one of "
                "them, or correct its changes."
            )
    for count in range(len(changes) + 1):
        for asked in combinations(changes, count):
            if frozenset(asked) not in arms_of:
                raise InputError(
                    f"{rule}. Received: no arm with {plain.received(list(asked))}. Add such an arm."
                )


def _check_against(config: Config, group: str, name: str) -> None:
    """Arms on the split are judged with arms on the split. Others get intervals with any arm."""
    arms = _arms(config)
    against, on_split = arms[name].against or [], arms[name].training_set == TrainingSet.split
    others = [
        other
        for other, arm in arms.items()
        if other != name and (not on_split or arm.training_set == TrainingSet.split)
    ]
    if against and group == "baseline":
        raise InputError(
            "Only an arm of clr or controls may have `against`: others are compared with the "
            f"baseline. Received: arms.{group}.{name}.against={', '.join(against)}. "
            "Remove `against`."
        )
    if wrong := [other for other in against if other not in others]:
        on = " that train on the split" if on_split else ""
        remedy = f"Name one of {', '.join(others)}" if others else "Remove `against`"
        raise InputError(
            f"arms.{group}.{name}.against must name other arms{on}. "
            f"Received: {plain.received(wrong[0])}. {remedy}."
        )
    if len(set(against)) < len(against):
        raise InputError(
            f"arms.{group}.{name}.against must name each arm once. "
            f"Received: {plain.received(against)}. Remove the second of two equal names."
        )


def _resembling(config: Config) -> Iterator[str]:
    """Warn of a name that is probably mistyped: its pairs would silently have no verdict."""
    arms = _arms(config)
    names = dict.fromkeys(n for arm, of in config.report.primary.items() for n in (arm, *of))
    in_lower_case = {name.lower(): name for name in arms}
    for name in names:
        near = get_close_matches(name.lower(), in_lower_case, 1, cutoff=_RESEMBLES)
        if near and name not in arms:
            yield (
                "report.primary should name arms of this experiment: a pair without results has no "
                f"verdict, and still counts. Received: {name}. Did you mean "
                f"{in_lower_case[near[0]]}?"
            )


def _few_seeds(config: Config) -> Iterator[str]:
    on_split = {
        f"arms.{group}.{name}.seeds": arm
        for group in GROUPS
        for name, arm in getattr(config.arms, group).items()
        if arm.training_set == TrainingSet.split
    }
    if len(on_split) < 2:
        return  # nothing is compared
    given = {key: arm.seeds for key, arm in on_split.items() if arm.seeds is not None}
    if len(given) < len(on_split):
        given = {"train.seeds": config.train.seeds, **given}
    for key, seeds in given.items():
        count = len(seed_list(seeds, key))
        if count in LOOKS:
            continue
        look = next((look for look in LOOKS if look > count), LOOKS[-1])
        remedy = f"Set {key}={look}" if isinstance(seeds, int) else f"Give {key} {look} seeds"
        yield (
            f"A verdict needs {', '.join(map(str, LOOKS[:-1]))} or {LOOKS[-1]} seeds; other "
            f"numbers give intervals at most. Received: {key} with "
            f"{count} seed{'' if count == 1 else 's'}. {remedy}."
        )


def _aimless_target(config: Config) -> Iterator[str]:
    """Warn of a target that no schedule is measured with."""
    lengths = defaultdict(set)
    for arm in _arms(config).values():
        if arm.training_set == TrainingSet.split:
            kind = (
                arm.schedule,
                arm.cycles,
                arm.batch_size,
                arm.base_momentum,
                repr(arm.optimizer),
            )
            lengths[kind].add(arm.epochs or config.train.epochs)
    target = config.report.target_percent
    if target is not None and all(len(epochs) == 1 for epochs in lengths.values()):
        yield (
            "report.target_percent should come with a schedule that is trained at several lengths. "
            f"Received: {target:g} and schedules with one length each. Add arms with other epochs, "
            "or set report.target_percent=null."
        )
