"""Runs the study of the verdicts and writes docs/study-verdicts.

PYTHONPATH=src python -m studies.verdicts
"""

from __future__ import annotations

import datetime
import gc
import json
import tempfile
from pathlib import Path

from lrcycles.cells.store import CellStore
from lrcycles.config import compose
from lrcycles.data import prepare
from lrcycles.files import write_json
from lrcycles.stages import plan
from lrcycles.training.compilation import cpu_name
from lrcycles.training.run import train_all
from studies.verdicts import page, simulate

COMPARISONS, PAIRS = 100, 8
OUT = Path("docs/study-verdicts")


def smoke_errors(trainings: int) -> list[float]:
    """Train the baseline of experiment smoke; return test errors in percent, one per seed."""
    overrides = [f"train.seeds={trainings}", "experiment=smoke", "train.save_models=none"]
    checked = compose.check(compose.compose(Path("conf"), overrides))
    with tempfile.TemporaryDirectory() as folder:
        data, store = Path(folder) / "data", CellStore(Path(folder) / "cells")
        data.mkdir()
        described = prepare.prepare(**vars(checked.data), root=Path.cwd(), out=data)
        cells = plan.group_cells(checked, "baseline", data=described, bounds=None)
        train_all(
            [[cell] for cell in cells],
            data=data,
            store=store,
            workers="auto",
            reuse=False,
            models=[],
            on_event=lambda *_: None,
        )
        results = [store.result(cell) for cell in cells]
    errors = [result.test_error_percent for result in results]
    assert None not in errors, "a training diverged"
    return [error for error in errors if error is not None]


def main() -> None:
    gc.freeze()  # statsmodels collects garbage at every adjustment; skip the objects that stay
    simulated = []
    for case in simulate.cases():
        simulated.append(simulate.run(case))
        print(json.dumps(simulated[-1]), flush=True)
    times = [simulate.run_times(12, never=never) for never in (0.0, 0.2, 0.5)]
    errors = smoke_errors(2 * PAIRS * COMPARISONS)
    record = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu_name(),
        "simulated": simulated,
        "times": times,
        "real": simulate.run_real(errors, pairs=PAIRS),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    write_json(OUT / "results.json", record)
    page.write(OUT)


if __name__ == "__main__":
    main()
