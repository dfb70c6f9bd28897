"""Runs the study of the range test's price and stability, and writes docs/study-range-test.

PYTHONPATH=src python -m studies.range_test_price

Finished sweeps are kept in .lrcycles/cells, and each price is written as soon as it is measured, so
a study that was stopped continues where it was. Other processes disturb the prices.

    PYTHONPATH=src python -m studies.range_test_price prices train.backend=jax
    PYTHONPATH=src python -m studies.range_test_price cpu-seconds

measure only the prices: with these overrides, or in CPU seconds, which other processes disturb
less. The page shows all prices.
"""

from __future__ import annotations

import datetime
import sys

import pandas as pd

from lrcycles import files
from studies.range_test_price import measure, page


def main() -> None:
    kind, *overrides = sys.argv[1:] or ["all"]
    if kind not in ("all", "prices", "cpu-seconds"):
        sys.exit(f"The argument must be prices or cpu-seconds. Received: {kind}. Leave it out.")
    if kind == "all":
        tests = pd.concat([_announced(setting) for setting in measure.settings()])
        text = tests.to_csv(index=False, float_format="%.6g")
        files.write_text(page.OUT / "tests.csv", text)
    _prices(*overrides, cpu_seconds=kind == "cpu-seconds")
    page.main()


def _announced(setting: measure.Setting) -> pd.DataFrame:
    print(f"Stability: {setting.name}", flush=True)
    return measure.bounds(setting)


def _prices(*overrides: str, cpu_seconds: bool) -> None:
    """Measure trainings and range tests in turns, until there are enough rounds."""
    path = page.OUT / "prices.csv"
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["asked", "round", "what"])
    asked = "CPU seconds" if cpu_seconds else " ".join(overrides) or "default"
    jobs = measure.priced(*overrides, cpu_seconds=cpu_seconds)
    for number in range(measure.ROUNDS):
        mine = done[(done["asked"] == asked) & (done["round"] == number)]
        for names, run in jobs.items():
            if set(names) <= set(mine["what"]):
                continue
            print(f"Price, round {number + 1} of {measure.ROUNDS}: {names[-1]}", flush=True)
            now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
            new = [
                {"asked": asked, "round": number, "date": now, "what": what, **row}
                for what, row in zip(names, run(number), strict=True)
            ]
            done = pd.concat([done, pd.DataFrame(new)], ignore_index=True)
            files.write_text(path, done.to_csv(index=False, float_format="%.5g"))


if __name__ == "__main__":
    main()
