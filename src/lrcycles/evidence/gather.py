"""Reads what the stages left and makes the evidence of a whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcycles import files
from lrcycles.config.schema import GROUPS, Report
from lrcycles.evidence.arms import Arm, read_arms
from lrcycles.evidence.budgets import PeakSearch
from lrcycles.evidence.comparisons import Pair, Role
from lrcycles.evidence.families import Family
from lrcycles.evidence.weigh import Evidence, weigh

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Stages:
    """What the stages left beside the arms.

    Attributes:
        differences: by key, the value in the experiment (conf/) and the value that was used.
        fit_epochs: seconds of epochs and steps of plain Keras `fit`, by batch size.
        peak_searches: by arm that trained at its own best peak rate, how that was chosen.
        advice: of stage `advise`, with the arms that train so; None if no arm asked for it.
    """

    artifacts: Path
    differences: dict[str, dict[str, Any]]
    data: dict[str, Any]
    range_test: dict[str, Any]
    curves: pd.DataFrame
    bounds: dict[str, Any]
    fit_epochs: list[dict[str, Any]]
    peak_searches: dict[str, PeakSearch] = field(default_factory=dict)
    advice: dict[str, Any] | None = None

    @property
    def advised_arms(self) -> list[str]:
        """The arms that train as stage `advise` answered."""
        return list(self.advice["arms"]) if self.advice else []


def gather(
    artifacts: Path, report: Report, against: Mapping[str, Sequence[str]] | None = None
) -> Evidence:
    """Read what the stages left in `artifacts` and compare the arms.

    Args:
        report: conf/report.
        against: by arm, the arms that it is compared with instead of those that `find_pairs` finds.

    Raises:
        InputError: a stage has not run, or a file is missing or damaged.
    """
    arms = read_arms(artifacts / "train")
    stages = _read_stages(artifacts)
    controlled = _controlled(arms)
    candidates = [name for name, arm in arms.items() if arm.group == "clr"]
    declared = [(name, other) for name, others in report.primary.items() for other in others]
    primary = [pair for pair in declared if set(pair) <= arms.keys()]
    seconds = float(stages.range_test["train_seconds"])
    return weigh(
        arms,
        controlled,
        pairs=find_pairs(arms, report, against or {}),
        report=report,
        range_test_seconds=dict.fromkeys(controlled, seconds),
        candidates=candidates,
        absent_primary=[pair for pair in declared if pair not in primary],
        replay=_replay(arms, report),
        stages=stages,
    )


def find_pairs(
    arms: Mapping[str, Arm], report: Report, against: Mapping[str, Sequence[str]]
) -> list[Pair]:
    """Pair arms: those of report.primary, the replay, those that arms name, and other schedules.

    An arm on the split that names none is compared with the opponent of its schedule. Two arms are
    compared once, for the first of these reasons.
    """
    controlled = _controlled(arms)
    pairs = [
        Pair(name, other, Role.CANDIDATE, Family.PRIMARY)
        for name, others in report.primary.items()
        for other in others
    ]
    replay = _replay(arms, report)
    pairs += [Pair(name, replay[0], Role.REPLAY) for name in replay[1:]]
    for name in dict.fromkeys((*against, *controlled)):
        if name in arms:
            opponent = _opponent(arms[name], [arms[each] for each in controlled])
            others = against.get(name, [opponent] if opponent else [])
            role, family = _role(arms[name], controlled, declared=name in against)
            pairs += [Pair(name, other, role, family) for other in others]
    first: dict[frozenset[str], Pair] = {}
    for pair in pairs:
        if pair.arm in arms and pair.against in arms:
            first.setdefault(frozenset((pair.arm, pair.against)), pair)
    return list(first.values())


def _role(arm: Arm, controlled: Sequence[str], *, declared: bool) -> tuple[Role, Family]:
    """Say why an arm is compared, and in which family the comparison is judged."""
    if arm.name not in controlled:
        return Role.OTHER, Family.NONE
    if not declared and arm.settings.schedule.name == "constant":
        return Role.SENSITIVITY, Family.NONE
    return Role.CANDIDATE if arm.group == "clr" else Role.CONTROL, Family.SCHEDULES


def _replay(arms: Mapping[str, Arm], report: Report) -> list[str]:
    """Name the arms that repeat a published run, first the one that another one continues."""
    names = [name for name in report.published if name in arms]
    return sorted(names, key=lambda name: arms[name].settings.continues is not None)


def _opponent(arm: Arm, controlled: Sequence[Arm]) -> str | None:
    """Choose what an arm is compared with: a linear decay, which has no cycles but ends low.

    A constant rate and the linear decay itself are compared with the first constant rate. Only
    arms of equal length, batch size and optimizer are opponents.
    """

    def kind(one: Arm) -> str:
        settings = one.settings
        return repr((settings.epochs, settings.batch_size, settings.optimizer))

    alike = [one for one in controlled if kind(one) == kind(arm)]
    by_schedule = {one.settings.schedule.name: one.name for one in reversed(alike)}
    decay = by_schedule.get("linear_decay")
    constant = by_schedule.get("constant", alike[0].name if alike else None)
    first = constant if arm.settings.schedule.name == "constant" or decay is None else decay
    opponent = constant if arm.name == decay else first
    return None if opponent == arm.name else opponent


def _read_stages(artifacts: Path) -> Stages:
    fit_epochs = artifacts / "train/controls/fit_epochs.json"
    return Stages(
        artifacts=artifacts,
        differences=files.read_json(artifacts / "config/differences.json"),
        data=files.read_json(artifacts / "data/data.json"),
        range_test=files.read_json(artifacts / "range_test/range_test.json"),
        curves=files.read_table(artifacts / "range_test/curves.parquet"),
        bounds=files.read_json(artifacts / "bounds/bounds.json"),
        fit_epochs=files.read_json(fit_epochs) if fit_epochs.exists() else [],
        peak_searches={
            search.arm: search
            for group in GROUPS
            for search in _read_peak_searches(artifacts / "train" / group)
        },
        advice=_read_advice(artifacts / "advise/advice.json"),
    )


def _read_advice(path: Path) -> dict[str, Any] | None:
    """Read what stage `advise` answered; None where no arm asked for it."""
    advice = files.read_json(path) if path.exists() else {}
    return advice if advice.get("arms") else None


def _read_peak_searches(folder: Path) -> list[PeakSearch]:
    """Read how a group's arms chose their peak; none where no arm asked for one."""
    import pandas as pd

    if not (folder / "peaks.json").exists() or not (folder / "tuning.csv").exists():
        return []
    tuning = pd.read_csv(folder / "tuning.csv", dtype={"arm": str}, keep_default_na=False)
    finished = tuning[tuning["status"] == "finished"]
    errors: dict[str, dict[float, list[float]]] = {}
    for arm, peak, error in zip(
        finished["arm"], finished["peak"], finished["validation_error_percent"], strict=True
    ):
        errors.setdefault(arm, {}).setdefault(float(peak), []).append(float(error))
    return [
        PeakSearch(
            arm=arm,
            peak=choice["peak"],
            means={one["peak"]: one["validation_error_percent"] for one in choice["trials"]},
            errors=errors.get(arm, {}),
        )
        for arm, choice in files.read_json(folder / "peaks.json").items()
    ]


def _controlled(arms: Mapping[str, Arm]) -> list[str]:
    """Name the baseline first, then every other arm that trains on the split."""
    baselines = [name for name, arm in arms.items() if arm.group == "baseline"]
    others = [name for name, arm in arms.items() if arm.on_split and name not in baselines[:1]]
    return baselines[:1] + others
