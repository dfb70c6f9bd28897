"""Which pipeline run does this process belong to, and is the process behind a run still there?"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from lrcycles.errors import InputError

# Start times of one process read twice may differ where the clock was stepped in between; a
# process number comes round again much later than this.
_START_TIME_TOLERANCE_SECONDS = 2.0


def pipeline_owner() -> psutil.Process:
    """The process whose life is the pipeline's: the nearest dvc above this one, else this one."""
    this = psutil.Process()
    return next((process for process in this.parents() if _is_dvc(process)), this)


def _is_dvc(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()[:4]  # `python -X dev -m dvc` at most; what follows is for dvc
    except psutil.Error:
        return False
    return any(Path(word).stem == "dvc" for word in words)


def pipeline_key(owner: psutil.Process, root: Path) -> str:
    """The name under which all stages of one pipeline run find their common parent."""
    if named := os.environ.get("LRCYCLES_PIPELINE"):
        if not re.fullmatch(r"[\w.:/@+-]{1,200}", named):
            raise InputError(
                "LRCYCLES_PIPELINE may hold letters, digits and . _ : / @ + - up to 200 of them, "
                f"got {named!r}: choose such a name or unset it"
            )
        return named
    # Two checkouts, or two people on one server, may well use the same experiment name.
    if experiment := os.environ.get("DVC_EXP_NAME"):
        return f"experiment-{_digest(experiment, platform.node(), root)}"
    return f"process-{_digest(owner.pid, owner.create_time(), platform.node())}"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def process_tags(process: psutil.Process) -> dict[str, str]:
    """The tags by which `is_alive` finds the process again."""
    return {
        "lrcycles.host": platform.node(),
        "lrcycles.pid": str(process.pid),
        "lrcycles.pid_started": repr(process.create_time()),
    }


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process of these tags runs; another one that got its number is not it."""
    try:
        process = psutil.Process(int(tags["lrcycles.pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:  # killed, and its parent never asked
            return False
        started = process.create_time()
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    apart = abs(started - float(tags["lrcycles.pid_started"]))
    return bool(apart < _START_TIME_TOLERANCE_SECONDS)


def origin_tags() -> dict[str, str]:
    """Who runs which code in which DVC stage, under the names MLflow's own runs use."""
    tags = {
        "mlflow.source.name": sys.argv[0] or "<console>",
        "mlflow.source.type": "LOCAL",
        "lrcycles.dvc_stage": os.environ.get("DVC_STAGE", ""),
        "lrcycles.dvc_exp_name": os.environ.get("DVC_EXP_NAME", ""),
    }
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        tags["mlflow.user"] = str(os.getuid())
    # The working folder is the checkout that runs; the root of a queued experiment is another.
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return tags
    if asked.returncode == 0:
        tags["mlflow.source.git.commit"] = asked.stdout.strip()
    return tags


def pipeline_status(stage_runs: Iterable[Any]) -> str:
    """The status of a pipeline run, given its stages' runs, the latest first.

    A stage that was run again counts with its latest run; one still going keeps all going.
    """
    latest: dict[str, str] = {}
    for run in stage_runs:
        latest.setdefault(run.data.tags.get("lrcycles.stage", ""), run.info.status)
    for status in ("RUNNING", "FAILED", "KILLED"):
        if status in latest.values():
            return status
    return "FINISHED"
