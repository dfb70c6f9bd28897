"""Measures how busy other processes kept the machine during a measurement."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

BUSY = 0.15  # cores; a time with more is called disturbed


class Watch:
    """Counts seconds, and the cores that other processes used, from its creation on."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.time(), _busy_seconds(), _own_seconds()

    def read(self) -> tuple[float, float]:
        """Return seconds and cores used by other processes; finished children count as our own."""
        seconds = time.time() - self._started
        others = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        return seconds, max(0.0, others / seconds)


def wait(limit: float) -> None:
    """Wait until other processes are quiet, at most `limit` seconds."""
    until = time.time() + limit
    while time.time() < until:
        watch = Watch()
        time.sleep(0.25)
        if watch.read()[1] <= BUSY:
            return


def _busy_seconds() -> float:
    """Return busy seconds of all cores since boot, including time taken by other guests (steal)."""
    words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)
