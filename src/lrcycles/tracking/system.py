"""Measures the machine while a stage works, with MLflow's own monitor."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any

import psutil

from lrcycles.tracking.store import reason


def prepare() -> None:
    """Begin the interval of the first sample of CPU, which would be 0 without this."""
    with suppress(OSError, psutil.Error):
        psutil.cpu_percent()


def start_monitor(uri: str, run_id: str) -> Any:
    """Log a sample of CPU, memory, disk, network and GPU every 10 s in a thread.

    As everywhere in MLflow, MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL changes the interval and
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches the measuring off. A stage that is shorter
    than an interval logs no sample.

    Returns:
        The monitor, whose `finish()` ends the thread and raises nothing; None if it is switched off
        or does not work here.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() in ("false", "0"):
        return None
    # It would print a line at its start, at its end and at the first lost sample.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    try:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run_id, tracking_uri=uri)
        monitor.start()
    except Exception as error:  # such as a machine without a network; never a reason to stop
        print(f"The use of the machine is not logged: {reason(error, uri)}.", file=sys.stderr)
        return None
    return monitor
