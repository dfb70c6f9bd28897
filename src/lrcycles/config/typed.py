"""Writes values and overrides as one types them on a command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any


def value(of: Any) -> str:
    """Write a value as Hydra reads it in an override.

    >>> value([1, "a"]), value({"a": None}), value(True), value("a,b"), value("it's")
    ('[1,a]', '{a:null}', 'true', "'a,b'", "'it\\\\'s'")
    """
    if of is None or isinstance(of, bool):
        return {None: "null", True: "true", False: "false"}[of]
    if isinstance(of, Mapping):
        return "{" + ",".join(f"{key}:{value(inner)}" for key, inner in of.items()) + "}"
    if isinstance(of, list | tuple):
        return "[" + ",".join(map(value, of)) + "]"
    return quoted(of) if isinstance(of, str) and not _read_as_written(of) else str(of)


def quoted(text: str) -> str:
    """Put a text into quotes as Hydra reads them.

    >>> quoted("a b"), quoted("it's")
    ("'a b'", "'it\\\\'s'")
    """
    # A quote is escaped, and so are the backslashes before one or at the end, but no others.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"


def word(override: str) -> str:
    """Put an override into quotes where a shell needs them.

    >>> print(word("~arms.clr.clr"), word("a=b c"), word("a='b c'"))
    ~arms.clr.clr 'a=b c' "a='b c'"
    """
    if re.fullmatch(r"[\w@%+=:,./~-]+", override, re.ASCII):
        return override
    plain = re.fullmatch(r"""(?:[^"$`!\\]|\\')*""", override)  # \' stands as it is within "..."
    return f'"{override}"' if plain and "'" in override else shlex.quote(override)


def _read_as_written(text: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if "${" in text or not re.fullmatch(r"\S+", text):
        return False
    try:
        read = OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return False
    return isinstance(read, str) and read == text and type(read) is str
