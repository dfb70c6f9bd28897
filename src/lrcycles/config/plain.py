"""Turns a configuration into plain values, and values into the words of messages and overrides."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from lrcycles.errors import InputError

if TYPE_CHECKING:
    from lrcycles.config.schema import Config

_MOST_SHOWN = 120  # characters of a value or a key that a message repeats


def flatten(config: Config) -> dict[str, Any]:
    """Return the configuration as flat dotted keys, for MLflow's parameters."""

    return {key: value for key, value in flat(plain(config)).items() if value is not None}


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys.

    >>> flat({"train": {"epochs": 3, "seeds": [0, 1]}, "arms": {}})
    {'train.epochs': 3, 'train.seeds': [0, 1], 'arms': {}}
    """

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))
        else:
            yield prefix, value

    return dict(leaves(values, ""))


def plain(value: Any) -> Any:
    """Return dataclasses and enums as plain dictionaries and strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def need_mapping(values: Any, name: str) -> dict[str, Any]:
    """Return the keys and values of params.yaml, or refuse what has none.

    Args:
        name: the file, for the error.
    """
    if not isinstance(values, Mapping):
        raise InputError(
            f"{name} must hold keys and values. Received: {received(values)}. "
            "Run `dvc repro config` to restore it."
        )
    return dict(values)


def one_line(error: BaseException) -> str:
    """Return an error's message in one line, without OmegaConf's details and the full stop."""
    text = " ".join(str(error).split())
    return text.split(" full_key:")[0].rstrip(".")


def received(value: Any) -> str:
    """Write a value for a message: as one types it, in one line, and not too long to be read.

    >>> received(None), received("tpu"), received("a b"), received("")
    ('null', 'tpu', "'a b'", "''")
    >>> received("a" * 200)[-29:]
    'aaaaaaa[...] (200 characters)'
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of more than 4,300 digits"
    if len(text) > _MOST_SHOWN:
        letters = len(value) if isinstance(value, str) else len(text)
        return f"{text[:_MOST_SHOWN]}[...] ({letters:,} characters)"
    return words if (words := typed(value)).isprintable() else text


def shown(key: str) -> str:
    """Write a key, or a text of Hydra's, for a message: in one line, and not too long to be read.

    >>> shown("train.epochs"), shown("a\\ttab")
    ('train.epochs', 'a\\\\ttab')
    """
    text = key if key.isprintable() else repr(key)[1:-1]
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}[...]"


def typed(of: Any) -> str:
    """Write a value as Hydra reads it in an override.

    >>> typed([1, "a"]), typed({"a": None}), typed(True), typed("a,b"), typed("it's")
    ('[1,a]', '{a:null}', 'true', "'a,b'", "'it\\\\'s'")
    """
    if of is None or isinstance(of, bool):
        return {None: "null", True: "true", False: "false"}[of]
    if isinstance(of, Mapping):
        return "{" + ",".join(f"{key}:{typed(inner)}" for key, inner in of.items()) + "}"
    if isinstance(of, list | tuple):
        return "[" + ",".join(map(typed, of)) + "]"
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
