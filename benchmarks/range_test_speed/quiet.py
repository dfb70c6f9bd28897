"""How much of the machine did others use while something was timed here?"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

BUSY = 0.15  # cores; above it a time is called disturbed


class Watch:
    """Seconds since its making, and the cores that others used meanwhile."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.time(), _busy_seconds(), _own_seconds()

    def read(self) -> tuple[float, float]:
        """Seconds, and the cores of others; finished children count as ours."""
        seconds = time.time() - self._started
        others = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        return seconds, max(0.0, others / seconds)


def wait(limit: float) -> None:
    """Wait for others to be quiet, at most `limit` seconds."""
    until = time.time() + limit
    while time.time() < until:
        watch = Watch()
        time.sleep(0.25)
        if watch.read()[1] <= BUSY:
            return


def _busy_seconds() -> float:
    """Of all cores since boot, what other guests of the host took from us included."""
    words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)
