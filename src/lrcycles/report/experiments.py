"""Prints the experiments that DVC knows as a table that fits into a terminal.

dvc exp show --csv | python -m lrcycles.report.experiments
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

# Out of more than a hundred columns: DVC has one for every parameter and every file.
_TITLES = {
    "baseline_error_percent": "baseline error (%)",
    "clr_error_percent": "clr error (%)",
    "linear_decay_error_percent": "linear decay error (%)",
    "clr_minus_baseline_percent": "clr minus baseline",
    "clr_minus_linear_decay_percent": "clr minus linear decay",
}
_WIDTH = 9  # of a column of numbers


def table(rows: Iterable[Mapping[str, str]]) -> Table:
    """Make a row for each experiment, and for each commit whose results are known.

    Args:
        rows: as DVC writes them in CSV; "!" is a value that DVC could not read.
    """
    known = [{key: value for key, value in row.items() if value not in ("", "!")} for row in rows]
    shown = [row for row in known if "settings" in row or "State" in row]
    keys = [key for key in _TITLES if any(key in row for row in shown)]
    made = Table(box=box.HORIZONTALS)
    made.add_column("name", no_wrap=True)
    made.add_column("experiment and changes", overflow="fold")
    for key in keys:
        made.add_column(_TITLES[key], justify="right", width=_WIDTH)
    for row in shown:
        name = row.get("Experiment") or row["rev"]
        settings = row.get("settings", "").removeprefix("experiment=")
        if row.get("State", "Success") != "Success":
            settings = f"{settings} ({row['State'].lower()})".strip()
        made.add_row(name, settings, *(_number(row[key]) if key in row else "" for key in keys))
    return made


def _number(text: str) -> str:
    return f"{float(text):.4g}"


def main() -> None:
    """Print the table of the CSV in standard input."""
    reader = csv.DictReader(sys.stdin)
    if reader.fieldnames is None:
        sys.exit(1)  # DVC has printed why it lists nothing
    printed = table(reader)
    if printed.row_count:
        Console().print(printed)
    else:
        print("No results yet. Run `make reproduce`, or `dvc exp run -S experiment=quick`.")


if __name__ == "__main__":
    main()
