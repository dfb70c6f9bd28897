"""Names the pipeline run that a process belongs to, and finds runs whose process has ended."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from lrcycles.errors import InputError

# The start time of one process may read differently after the clock was changed. The system gives a
# process number to another process only much later than this.
_START_TIME_TOLERANCE_SECONDS = 2.0
_SHORT = ("config", "data", "bounds", "advise")
_STAGES = (*_SHORT, "range_test", "train", "report")


def pipeline_owner() -> psutil.Process:
    """Find the process that runs the pipeline: the nearest dvc above this one, or this one."""
    this = psutil.Process()
    return next((process for process in this.parents() if _is_dvc(process)), this)


def _is_dvc(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()[:4]  # as in `python -X dev -m dvc`; the rest are dvc's arguments
    except psutil.Error:
        return False
    return any(Path(word).stem == "dvc" for word in words)


def pipeline_key(owner: psutil.Process, root: Path) -> str:
    """Name the pipeline run; all its stages find their common parent by this name.

    Raises:
        InputError: LRCYCLES_PIPELINE holds other characters than names may.
    """
    if named := os.environ.get("LRCYCLES_PIPELINE"):
        if not re.fullmatch(r"[\w.:/@+-]{1,200}", named):
            raise InputError(
                "LRCYCLES_PIPELINE must consist of 1 to 200 letters, digits and . _ : / @ + -. "
                f"Received: {named!r}. Choose such a name, or unset LRCYCLES_PIPELINE."
            )
        return named
    # Two checkouts, or two people on one server, may use the same experiment name.
    if experiment := os.environ.get("DVC_EXP_NAME"):
        return f"experiment-{_digest(experiment, platform.node(), root)}"
    return f"process-{_digest(owner.pid, owner.create_time(), platform.node())}"


def is_by_hand(owner: psutil.Process) -> bool:
    """Return whether a stage runs alone: without DVC, and without the name of a pipeline."""
    named = os.environ.get("LRCYCLES_PIPELINE") or os.environ.get("DVC_EXP_NAME")
    return not named and owner.pid == os.getpid()


def is_deferrable(stage: str) -> bool:
    """Return whether a later stage of the same DVC command can write the stage's runs as well.

    MLflow takes longer to load than such a stage takes to work.
    """
    owner = pipeline_owner()
    if stage not in _SHORT or "DVC_STAGE" not in os.environ or owner.pid == os.getpid():
        return False
    try:
        words = owner.cmdline()
    except psutil.Error:
        return False
    return not any(word.partition("@")[0] in _STAGES for word in words)  # `dvc repro bounds`


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def process_tags(process: psutil.Process) -> dict[str, str]:
    """Make the tags by which `is_alive` finds the process again."""
    return {
        "lrcycles.host": platform.node(),
        "lrcycles.pid": str(process.pid),
        "lrcycles.pid_started": repr(process.create_time()),
    }


def is_alive(tags: Mapping[str, str]) -> bool:
    """Return whether the process of these tags runs; a later one with its number is none."""
    try:
        process = psutil.Process(int(tags["lrcycles.pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:  # it has ended, and its parent did not ask how
            return False
        started = process.create_time()
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    apart = abs(started - float(tags["lrcycles.pid_started"]))
    return bool(apart < _START_TIME_TOLERANCE_SECONDS)


def running_here() -> str:
    """Search the runs of this host that have not ended."""
    return f"attributes.status = 'RUNNING' and tags.`lrcycles.host` = '{platform.node()}'"


def is_written(run: Any) -> bool:
    """Return whether the process that makes a run may still be at work; other hosts may be."""
    tags = run.data.tags
    return tags.get("lrcycles.host") != platform.node() or is_alive(tags)


def origin_tags() -> dict[str, str]:
    """Describe who runs which code in which DVC stage, under the names that MLflow itself uses."""
    tags = {
        "mlflow.source.name": sys.argv[0] or "<console>",
        "mlflow.source.type": "LOCAL",
    }
    for name in ("DVC_STAGE", "DVC_EXP_NAME"):
        if value := os.environ.get(name):
            tags[f"lrcycles.{name.lower()}"] = value
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        tags["mlflow.user"] = str(os.getuid())
    # The current folder is the checkout that runs, also in a queued experiment.
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return tags
    if asked.returncode == 0:
        tags["mlflow.source.git.commit"] = asked.stdout.strip()
    return tags


def command() -> str:
    """Name the command that runs this stage again.

    DVC gives a stage the name of the experiment, and an experiment keeps its configuration.
    """
    if name := os.environ.get("DVC_EXP_NAME"):
        return f"dvc exp apply {name} && dvc repro"
    if os.environ.get("DVC_STAGE"):
        return "dvc repro"
    script = Path(sys.argv[0])
    started = ["python", "-m", f"{script.parent.name}.{script.stem}"]
    return shlex.join([*(started if script.suffix == ".py" else [script.name]), *sys.argv[1:]])


def pipeline_status(stage_runs: Iterable[Any]) -> str:
    """Derive the status of a pipeline run from its stages' runs, the latest first.

    Each stage counts with its latest run. The pipeline runs as long as one stage runs.
    """
    latest: dict[str, str] = {}
    for run in stage_runs:
        latest.setdefault(run.data.tags.get("lrcycles.stage", ""), run.info.status)
    for status in ("RUNNING", "FAILED", "KILLED"):
        if status in latest.values():
            return status
    return "FINISHED"


def end_the_dead(client: Any, experiment_ids: set[str]) -> None:
    """Set runs to KILLED whose process on this host has ended without ending them."""
    for run in client.search_runs(sorted(experiment_ids), running_here()):
        if not is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")
