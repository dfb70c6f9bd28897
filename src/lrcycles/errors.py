"""Which mistakes are the user's, to be told in one line?"""

from __future__ import annotations


class InputError(ValueError):
    """Something the user typed or supplied breaks a rule.

    The message states the rule, what was received and the remedy; the command line prints it
    without a traceback and exits with status 1.
    """
