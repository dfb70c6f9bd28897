"""Measures the machine while a stage works, with MLflow's own instruments."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psutil

from lrcycles.tracking.addresses import reason

_SECONDS = 10.0


def prepare() -> None:
    """Begin the interval of the first sample of CPU, which would be 0 without this."""
    with suppress(OSError, psutil.Error):
        psutil.cpu_percent()


class Monitor:
    """Samples CPU, memory, disk, network and GPU in a thread, as MLflow's monitor would.

    MLflow's own thread writes to MLflow, and asks it at each sample whether the run goes on.
    """

    def __init__(self, log: Callable[[Mapping[str, float]], None]) -> None:
        from mlflow import environment_variables as settings

        self._log = log
        self._instruments = _instruments()
        self._seconds = settings.MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or _SECONDS
        self._samples = settings.MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1
        self._node = settings.MLFLOW_SYSTEM_METRICS_NODE_ID.get()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        prefix = f"system/{self._node}/" if self._node else "system/"
        while True:
            for _ in range(self._samples):
                for instrument in self._instruments:
                    instrument.collect_metrics()
                if self._ended.wait(self._seconds):
                    return
            metrics: dict[str, float] = {}
            for instrument in self._instruments:
                metrics |= instrument.aggregate_metrics()
                instrument.clear_metrics()
            with suppress(OSError):  # a full disk
                self._log({prefix + name: value for name, value in metrics.items()})


def _instruments() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for of_gpu in (GPUMonitor, ROCMMonitor):
        with suppress(Exception):  # whatever a machine without such a GPU raises
            return [*found, of_gpu()]
    return found


def start_monitor(uri: str, log: Callable[[Mapping[str, float]], None]) -> Monitor | None:
    """Give `log` a sample of CPU, memory, disk, network and GPU every 10 s.

    As everywhere in MLflow, MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL changes the interval and
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches the measuring off. A stage that is shorter
    than an interval logs no sample.

    Returns:
        The monitor; None if it is switched off or does not work here.
    """
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() in ("false", "0"):
        return None
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    try:
        return Monitor(log)
    except Exception as error:  # such as a machine without a network; never a reason to stop
        print(f"The use of the machine is not logged: {reason(error, uri)}.", file=sys.stderr)
        return None
