"""What do the stages' files say, arm by arm and pair by pair?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcycles import compare, results
from lrcycles.arms import Arm, read_arms, seconds_per_step, summarise

if TYPE_CHECKING:
    import pandas as pd

ERROR, TIME = "test_error_percent", "time_to_target_seconds"
UNITS = {ERROR: "percentage points", TIME: "s"}


@dataclass(frozen=True)
class Comparison:
    """One arm against another in one quantity; differences are arm minus other, by seed."""

    arm: str
    against: str
    quantity: str
    differences: dict[int, float]
    paired: compare.PairedComparison
    judged: compare.Verdict
    left_open: tuple[float, float] | None = None  # the mean's range, if censoring hides its sign

    @property
    def title(self) -> str:
        return f"{self.arm} vs {self.against}"

    @property
    def bca95(self) -> compare.Interval | None:
        """Beside the t interval where there are pairs enough, unless censoring hides the sign."""
        return None if self.left_open else self.paired.bca95

    @property
    def verdict(self) -> str:
        return "undecided" if self.left_open else str(self.judged.verdict)


@dataclass(frozen=True)
class Evidence:
    """Everything that the report shows, as numbers."""

    artifacts: Path
    differences: dict[str, dict[str, Any]]  # from conf/
    data: dict[str, Any]
    range_test: dict[str, Any]
    curves: pd.DataFrame
    bounds: dict[str, Any]
    arms: dict[str, Arm]
    controlled: list[str]  # the baseline, then the arms compared with it
    replay: list[str]  # the arms that have a published figure
    fit_epochs: list[dict[str, Any]]
    margin_percent: float
    target_percent: float | None
    seconds_per_step: dict[int, float]  # by batch size
    reached: dict[str, dict[int, compare.TimeToTarget]]
    range_test_seconds: dict[str, float]  # charged to each arm: all of them, or none
    extra_seconds: dict[str, float]  # those, and the training of the arms continued
    comparisons: dict[tuple[str, str, str], Comparison] = field(default_factory=dict)

    def of(self, quantity: str) -> list[Comparison]:
        return [found for found in self.comparisons.values() if found.quantity == quantity]

    @property
    def baseline(self) -> str | None:
        return self.controlled[0] if self.controlled else None


def gather(artifacts: Path, report_config: Mapping[str, Any]) -> Evidence:
    """Read what the stages left in `artifacts` and compare the arms."""
    arms = read_arms(artifacts / "train")
    controlled = _controlled(arms)
    published = [name for name in report_config["published"] if name in arms]
    # The arm that another continues comes first: it is what the other is compared with.
    replay = sorted(published, key=lambda name: arms[name].settings["continues"] is not None)
    range_test = results.read_json(artifacts / "range_test/range_test.json")
    fit_epochs = artifacts / "train/controls/fit_epochs.json"
    per_step = seconds_per_step(arms.values())
    target = _target_percent(arms[controlled[0]]) if controlled else None
    chains = {name: _chain(arms[name], arms) for name in controlled}
    charged = {
        name: float(range_test["train_seconds"]) if any(arm.uses_bounds for arm in chain) else 0.0
        for name, chain in chains.items()
    }
    extra = {
        name: charged[name] + sum(_training_seconds(parent, per_step) for parent in chain[1:])
        for name, chain in chains.items()
    }
    reached = (
        {}
        if target is None
        else {name: _times(arms[name], target, per_step, extra[name]) for name in controlled}
    )
    margin = float(report_config["margin_percent"])
    return Evidence(
        artifacts=artifacts,
        differences=results.read_json(artifacts / "config/differences.json"),
        data=results.read_json(artifacts / "data/data.json"),
        range_test=range_test,
        curves=results.read_table(artifacts / "range_test/curves.parquet"),
        bounds=results.read_json(artifacts / "bounds/bounds.json"),
        arms=arms,
        controlled=controlled,
        replay=replay,
        fit_epochs=results.read_json(fit_epochs) if fit_epochs.exists() else [],
        margin_percent=margin,
        target_percent=target,
        seconds_per_step=per_step,
        reached=reached,
        range_test_seconds=charged,
        extra_seconds=extra,
        comparisons=_comparisons(arms, controlled, replay, reached, margin),
    )


def _controlled(arms: Mapping[str, Arm]) -> list[str]:
    """The baseline first, then every other arm that trains on the split."""
    baselines = [name for name, arm in arms.items() if arm.group == "baseline"]
    others = [name for name, arm in arms.items() if arm.on_split and name not in baselines[:1]]
    return baselines[:1] + others if baselines else []


def _target_percent(baseline: Arm) -> float | None:
    finals = list(baseline.values("validation_error_percent").values())
    return float(np.median(finals)) if finals else None


def _chain(arm: Arm, arms: Mapping[str, Arm]) -> list[Arm]:
    """The arm, the one that it continues, the one that this continues, and so on."""
    chain = [arm]
    while (parent := chain[-1].settings["continues"]) is not None:
        chain.append(arms[parent])
    return chain


def _training_seconds(arm: Arm, per_step: Mapping[int, float]) -> float:
    """What training an arm to its end takes; nothing is known of one that never got there."""
    for cell in arm.finished.values():
        return int(cell["steps"]) * per_step[int(cell["batch_size"])]
    return 0.0


def _times(
    arm: Arm, target: float, per_step: Mapping[int, float], extra: float
) -> dict[int, compare.TimeToTarget]:
    return {
        seed: compare.time_to_target(
            cell["history"],
            target,
            seconds_per_step=per_step[int(cell["batch_size"])],
            extra_seconds=extra,
        )
        for seed, cell in arm.finished.items()
    }


def _comparisons(
    arms: Mapping[str, Arm],
    controlled: list[str],
    replay: list[str],
    reached: Mapping[str, Mapping[int, compare.TimeToTarget]],
    margin: float,
) -> dict[tuple[str, str, str], Comparison]:
    """Every comparison that carries a verdict: one family for Holm's adjustment."""
    pairs = [(name, controlled[0]) for name in controlled[1:]]
    pairs += [(name, replay[0]) for name in replay[1:]]
    differences: dict[tuple[str, str, str], dict[int, float]] = {}
    left_open: dict[tuple[str, str, str], tuple[float, float]] = {}
    for arm, against in pairs:
        own, other = arms[arm].values(ERROR), arms[against].values(ERROR)
        differences[arm, against, ERROR] = {
            seed: own[seed] - other[seed] for seed in own.keys() & other.keys()
        }
        if arm in reached and against in reached:
            key = (arm, against, TIME)
            least, most = _time_differences(reached[arm], reached[against])
            differences[key] = min(least, most, key=lambda found: abs(sum(found.values())))
            if least and sum(least.values()) < 0 < sum(most.values()):
                left_open[key] = (_mean(least), _mean(most))
    paired = {
        key: compare.compare_pairs(
            [found[seed] for seed in sorted(found)],
            margin=margin if key[2] == ERROR else None,
            unit=UNITS[key[2]],
        )
        for key, found in differences.items()
        if found
    }
    verdicts = compare.judge({" ".join(key): result for key, result in paired.items()})
    return {
        key: Comparison(*key, differences[key], result, verdicts[" ".join(key)], left_open.get(key))
        for key, result in paired.items()
    }


def _time_differences(
    own: Mapping[int, compare.TimeToTarget], other: Mapping[int, compare.TimeToTarget]
) -> tuple[dict[int, float], dict[int, float]]:
    """The least and the most that each pair can differ by, up to the longest run of both arms.

    A run that never reached the target may have been about to, or may have gone on to that
    horizon. Taking it at its full length only would call an arm slower whose rival often fails.
    """
    shared = sorted(own.keys() & other.keys())
    times = [time for seed in shared for time in (own[seed], other[seed])]
    horizon = max((time.seconds for time in times), default=0.0)

    def latest(time: compare.TimeToTarget) -> float:
        return horizon if time.censored else time.seconds

    least = {seed: own[seed].seconds - latest(other[seed]) for seed in shared}
    most = {seed: latest(own[seed]) - other[seed].seconds for seed in shared}
    return least, most


def _mean(found: Mapping[int, float]) -> float:
    return sum(found.values()) / len(found)


def metrics(evidence: Evidence) -> dict[str, Any]:
    """The report's numbers, nested as `dvc metrics show` prints them; what is unknown is absent."""
    found: dict[str, Any] = {}
    for name, arm in evidence.arms.items():
        entry: dict[str, Any] = {"diverged": len(arm.diverged)}
        for key in (ERROR, "test_loss", "validation_error_percent", "train_seconds"):
            entry[key] = _known(vars(summarise(arm.values(key).values())))
        times = evidence.reached.get(name)
        if times:
            entry[TIME] = _known(vars(summarise(time.seconds for time in times.values())))
            entry[TIME]["censored"] = sum(time.censored for time in times.values())
        found[name] = entry
    found["comparisons"] = {}
    for comparison in evidence.comparisons.values():
        pair = f"{comparison.arm}_vs_{comparison.against}"
        found["comparisons"].setdefault(pair, {})[comparison.quantity] = _judged(comparison)
    found["bounds"] = {key: evidence.bounds[key] for key in ("base_lr", "max_lr")}
    if evidence.target_percent is not None:
        found["target_validation_error_percent"] = evidence.target_percent
    return found


def _judged(comparison: Comparison) -> dict[str, Any]:
    entry = {"n": comparison.paired.n, "verdict": comparison.verdict}
    if comparison.left_open:
        return {**entry, "at_least": comparison.left_open[0], "at_most": comparison.left_open[1]}
    low, high = comparison.paired.interval95 or (None, None)
    figures = {"mean_difference": comparison.paired.mean, "low": low, "high": high}
    figures["bca_low"], figures["bca_high"] = comparison.paired.bca95 or (None, None)
    return _known({**figures, "p": comparison.paired.p, "holm_p": comparison.judged.holm_p} | entry)


def _known(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null or not finite: JSON has no NaN, and a diff of null says nothing."""
    return {
        key: value
        for key, value in entry.items()
        if value is not None and (not isinstance(value, float) or math.isfinite(value))
    }
