"""Measures one price in this process in CPU seconds, and prints JSON.

Other processes disturb CPU seconds less than seconds. XLA compiles on several threads, so compiling
takes more CPU seconds than seconds.

    PYTHONPATH=src python -m studies.range_test_price.alone WHAT ROUND
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lrcycles.cells.store import CellStore
from lrcycles.training.compilation import cpu_name
from studies.range_test_price import library, measure


def rows(what: str, number: int) -> list[dict[str, Any]]:
    if what in library.SIZES:
        return library.measure(measure.data_of("tutorial")[0], what)
    from lrcycles.range_tests.cell_sweep import Team, sweep_team
    from lrcycles.training import tensorflow_engine
    from lrcycles.training.chain import Setting, train_team

    tensorflow_engine.prepare_device("cpu", 1, "float32")
    if what.startswith("training of "):
        cell, data = measure.baseline(what.removeprefix("training of "), number)
        with tempfile.TemporaryDirectory() as folder:
            store = CellStore(Path(folder))
            train_team([[cell]], Setting(data, store, reuse=False, models=[]), lambda *_: None)
            return [measure.training_row(store.result(cell))]
    (setting,) = (one for one in measure.settings() if one.name == what)
    cells, sweep = setting.cells(range(setting.seeds))
    data = measure.data_of(setting.experiment)[0]
    timed = [sweep_team(Team([one]), lambda *_: None, sweep=sweep, data=data)[0] for one in cells]
    return [measure.price_row(timed)]


if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    time.perf_counter = time.process_time
    answer = rows(sys.argv[1], int(sys.argv[2]))
    for row in answer:
        row |= {"device": cpu_name(), "backend": "tensorflow"}
        row.setdefault("threads", os.cpu_count() if sys.argv[1] in library.SIZES else 1)
    print(json.dumps(answer))
