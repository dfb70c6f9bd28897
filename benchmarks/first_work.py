"""Runs a stage until its first useful work, prints when that was, and ends the process.

    python benchmarks/first_work.py MOMENT STAGE [ARGUMENT...]

MOMENT is the time at which the caller started this process. First useful work is a training or a
sweep that a process begins, and in other stages the call of the stage's own function.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

TRAINS = ("range_test", "train")


def main(moment: float, stage: str, arguments: list[str]) -> None:
    def end(*_: Any) -> None:
        print(f"first work: {time.time() - moment}", flush=True)
        os._exit(0)

    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["-m", *arguments]  # as Python sets it while it looks for the stage
    import pipelines  # noqa: F401  # puts the src/ of the current folder first

    if stage in TRAINS:
        from lrcycles.training import pool

        pool._Worker.give = end  # type: ignore[method-assign]
    else:
        from lrcycles.stages import run

        execute = run.execute
        run.execute = lambda name, _main, **more: execute(name, end, **more)
    runpy.run_module(f"pipelines.{stage}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3:])
