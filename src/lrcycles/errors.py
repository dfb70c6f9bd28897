"""Holds the error for mistakes of the user."""

from __future__ import annotations


class InputError(ValueError):
    """A value that the user typed or supplied breaks a rule.

    The message is one line: what must hold, what was received, what to do. The command line prints
    it without a traceback and exits with status 1.
    """
