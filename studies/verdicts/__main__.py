"""Runs the study of the verdicts and writes docs/study-verdicts.

PYTHONPATH=src python -m studies.verdicts [CELLS]

CELLS: a cell store with MNIST trainings, 32 seeds or more of equal settings; .lrcycles/cells
"""

from __future__ import annotations

import datetime
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

from lrcycles.evidence.families import FIRST_LEVEL, LATER_LEVELS, LOOKS
from lrcycles.files import write_json
from lrcycles.training.compilation import cpu_name
from studies.verdicts import page, real
from studies.verdicts.tasks import run, tasks

OUT = Path("docs/study-verdicts")


def main() -> None:
    cells = Path(sys.argv[1] if len(sys.argv) > 1 else ".lrcycles/cells")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes below, one for each core
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        simulated = list(chain.from_iterable(pool.map(run, tasks())))
    measured = real.same_against_same("digits, experiment smoke", [real.smoke_pool(128)], 1500)
    pools = real.stored_pools(cells, least=32)
    if pools:
        measured += real.same_against_same("MNIST, all schedules", pools, 1500)
    record = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu_name(),
        "looks": list(LOOKS),
        "first_level": FIRST_LEVEL,
        "later_levels": {str(share): level for share, level in LATER_LEVELS.items()},
        "rows": [row.to_dict() for row in (*simulated, *measured)],
    }
    OUT.mkdir(parents=True, exist_ok=True)
    write_json(OUT / "results.json", record)
    page.write(OUT)


if __name__ == "__main__":
    main()
