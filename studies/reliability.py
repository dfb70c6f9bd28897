"""Writes docs/reliability.md from the faults that `make test-faults` has counted."""

from __future__ import annotations

# What may come of a planted fault.
OUTCOMES = {
    "harmless": "the results are those of an undisturbed run, without a word",
    "recovered": "one line, and the results are those of an undisturbed run",
    "named": "one line names the fault and the remedy, and the exit status is not 0",
    "lost": "finished work is gone",
    "silently used": "a wrong value is taken for a result",
    "traceback": "the user sees Python's traceback",
    "hangs": "the command does not end",
}
FORBIDDEN = ("lost", "silently used", "traceback", "hangs")
