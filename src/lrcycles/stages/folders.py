"""Makes the folders that stages write to, and removes those of killed stages."""

from __future__ import annotations

import itertools
import shutil
import time
from contextlib import suppress
from pathlib import Path

import psutil


def results_folder(root: Path, name: str, group: str | None, *, by_hand: bool) -> Path:
    """Name the folder of a stage's results, and make it if the stage runs by hand."""
    if not by_hand:
        folder = root / "artifacts" / name / (group or "")
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder
    moment = time.strftime("%Y-%m-%d_%H-%M-%S")
    return claim_folder(root / "outputs" / name / "_".join(filter(None, [moment, group])))


def claim_folder(folder: Path) -> Path:
    """Make a new folder of this name, or of this name and a number if others have taken it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        claimed = folder.with_name(f"{folder.name}_{number}") if number > 1 else folder
        with suppress(FileExistsError):
            claimed.mkdir()
            return claimed
    raise AssertionError("numbers do not end")


def remove_abandoned(*folders: Path) -> None:
    """Remove what killed processes have left: half-written .WHAT.PID and replaced .WHAT.PID.old."""
    for path in itertools.chain(*(folder.glob(".*.*") for folder in folders)):
        pid = path.name.removesuffix(".old").rpartition(".")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
