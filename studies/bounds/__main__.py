"""Runs the study of bound rules and writes docs/study-bounds.

PYTHONPATH=src python -m studies.bounds

Finished trainings and range tests are kept in .lrcycles/cells, so a study that was stopped
continues where it was.
"""

from __future__ import annotations

from studies.bounds import judge, measure


def main() -> None:
    """Make the data, measure every half of the study, and judge the rules."""
    measure.data()
    for half in judge.PARTS:
        for step in (measure.curves, measure.grid, measure.rules):
            print(f"{half}: {step.__name__}", flush=True)
            step(half)
    judge.main()


if __name__ == "__main__":
    main()
