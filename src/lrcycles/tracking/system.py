"""Measures the machine while a stage works, with MLflow's own monitor."""

from __future__ import annotations

import logging
import os
from typing import Any


def start_monitor(uri: str, run_id: str) -> Any:
    """Log a sample of CPU, memory, disk, network and GPU every 10 s in a thread.

    As everywhere in MLflow, MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL changes the interval and
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches the measuring off. A stage that is shorter
    than an interval logs no sample.

    Returns:
        The monitor, whose `finish()` ends the thread and raises nothing; None if switched off.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() in ("false", "0"):
        return None
    # It would print a line at its start, at its end and at the first lost sample.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, tracking_uri=uri)
    monitor.start()
    return monitor
