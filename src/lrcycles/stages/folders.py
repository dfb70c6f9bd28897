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


def remove_abandoned(folder: Path) -> None:
    """Remove the half-written folders of killed processes, which are named .WHAT.PID."""
    for path in folder.glob(".*.*"):
        pid = path.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
