"""Runs the study of drawn bounds, and writes docs/study-drawn-bounds.

PYTHONPATH=src python -m studies.drawn_bounds

Finished sweeps and trainings are kept in .lrcycles/cells, so a study that was stopped continues
where it was. Stage `data` must have run.
"""

from __future__ import annotations

from lrcycles import files
from studies.drawn_bounds import measure, page


def main() -> None:
    study = measure.Study(["experiment=tutorial"])
    found = measure.run(study)
    files.write_text(page.OUT / "cells.csv", found.cells.to_csv(index=False, float_format="%.6g"))
    files.write_json(page.OUT / "estimates.json", found.estimates)
    files.write_text(page.OUT / "README.md", page.text())
    print(f"The page is {page.OUT / 'README.md'}.")


if __name__ == "__main__":
    main()
