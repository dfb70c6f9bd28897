"""Writes docs/study-range-test/README.md from the measurements beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from scipy import stats

from lrcycles import files
from studies.range_test_price import library, measure

OUT = Path("docs/study-range-test")
GOAL_PERCENT = 25


def main() -> None:
    files.write_text(OUT / "README.md", text())


def text() -> str:
    """Fill page.md.j2 with the measurements."""
    tests, prices = pd.read_csv(OUT / "tests.csv"), pd.read_csv(OUT / "prices.csv")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.md.j2").render(
        stabilities=list(stabilities(tests)),
        prices=list(shares(prices)),
        tests=measure.TESTS,
        first_seed=measure.FIRST_SEED,
        goal=GOAL_PERCENT,
        thinned=_thinned(),
    )


def _thinned() -> float:
    """Return by which factor max_lr of the first rule falls if it reads every second score."""
    all_scores, half = (
        np.log10(measure.first_rule(scores=scores)["max_lr"].astype(float)).mean()
        for scores in (100, 50)
    )
    return float(10 ** (all_scores - half))


def stabilities(tests: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield each setting's mean and standard deviation of log10(bound) over whole range tests.

    The ratio of two standard deviations has the 95 % interval of the F distribution.
    """
    of_setting = dict(list(tests.groupby("setting")))
    before: dict[str, float] = {}
    for setting in measure.settings():
        rows = of_setting[setting.name]
        spread = {name: float(np.log10(rows[name]).std()) for name in ("base_lr", "max_lr")}
        first = before.setdefault(setting.experiment, spread["max_lr"])
        factor = float(np.sqrt(stats.f.ppf(0.975, len(rows) - 1, len(rows) - 1)))
        yield {
            "name": setting.name,
            "rule": "smith, first version" if setting.first_rule else rows["rule"].iloc[0],
            **{name: int(rows[name].iloc[0]) for name in ("steps", "scores", "heldout_images")},
            "seeds": setting.seeds,
            "tests": len(rows),
            "answered": int(rows["max_lr"].notna().sum()),
            **{f"{name}_mean": 10 ** np.log10(rows[name]).mean() for name in spread},
            **{f"{name}_sd": sd for name, sd in spread.items()},
            "ratio": spread["max_lr"] / first,
            "low": spread["max_lr"] / first / factor,
            "high": spread["max_lr"] / first * factor,
        }


def shares(prices: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what each range test costs, in seconds and in percent of one training."""
    for (asked, experiment), rows in _of_experiment(prices).groupby(
        ["asked", "experiment"], sort=False
    ):
        whole = rows.assign(total=rows["seconds"] + rows["compile_seconds"])
        one = whole[whole["training"]].set_index("round")
        for what, mine in whole[~whole["training"]].groupby("what", sort=False):
            of_round = mine.set_index("round")
            # Paired by round, since the machine's speed drifts.
            share = 100 * of_round["seconds"] / one["seconds"]
            total = 100 * of_round["total"] / one["total"]
            yield {
                "asked": asked,
                "experiment": experiment,
                "what": what,
                "device": one["device"].iloc[0],
                "backend": one["backend"].iloc[0],
                "threads": int(one["threads"].iloc[0]),
                "date": one["date"].iloc[-1],
                "rounds": len(share.dropna()),
                "steps": int(of_round["steps"].median()),
                "seconds": of_round["seconds"].median(),
                "compile_seconds": of_round["compile_seconds"].median(),
                "training_seconds": one["seconds"].median(),
                "training_compile_seconds": one["compile_seconds"].median(),
                "share": share.median(),
                "total_share": total.median(),
                "range": (total.min(), total.max()),
            }


def _of_experiment(prices: pd.DataFrame) -> pd.DataFrame:
    training = prices["what"].str.startswith("training of ")
    experiment = {one.name: one.experiment for one in measure.settings()}
    experiment |= {name: name for name in library.SIZES}
    names = prices["what"].map(experiment)
    names = names.where(~training, prices["what"].str.removeprefix("training of "))
    return prices.assign(training=training, experiment=names)
