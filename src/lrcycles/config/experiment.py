"""Finds what a configuration changes in its experiment, and writes it as overrides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrcycles.config import plain
from lrcycles.config.compose import compose
from lrcycles.config.hints import OPEN
from lrcycles.config.params_file import differences
from lrcycles.errors import InputError

_LONGEST_VALUE = 40  # characters: longer values, such as digests, are not shown
_FEWEST_KEYS = 2  # of a folder: one key is not explained by another file, which is an entry itself
_RATES = ".layer_rates."

Changes = dict[str, dict[str, Any]]


def changes(conf: Path, values: Mapping[str, Any]) -> Changes:
    """Return {key: {"conf": its value in the experiment, "used": its value here}}.

    A key that was added has no "conf", and a key that was removed has no "used".
    A folder of conf/ from which another file was chosen is one entry, such as
    {"data": {"conf": "mnist", "used": "digits"}}, where that makes the list shorter.

    Args:
        values: all of params.yaml; `experiment` names the file in conf/experiment.
    """
    name = values["experiment"]
    overrides = [f"experiment={name}"] if (conf / f"experiment/{name}.yaml").exists() else []
    reference = compose(conf, overrides)
    found = differences(values, reference)
    chosen: Changes = {}
    for folder, keys in Counter(key.partition(".")[0] for key in found).items():
        if keys < _FEWEST_KEYS:
            continue
        options = _options(conf, folder, overrides)
        counts = {option: len(differences(values, made)) for option, made in options.items()}
        best = min(counts, key=lambda option: counts[option], default=None)
        if best is not None and counts[best] + 1 < len(found):
            own = [option for option, made in options.items() if made == reference]
            chosen[folder] = {"conf": own[0] if own else None, "used": best}
            overrides.append(f"{folder}={best}")
            reference = options[best]
            found = differences(values, reference)
    return chosen | found


def _options(conf: Path, folder: str, overrides: list[str]) -> dict[str, dict[str, Any]]:
    """Compose conf/ with each file of a folder."""
    composed = {}
    for path in sorted((conf / folder).glob("*.yaml")):
        try:
            composed[path.stem] = compose(conf, [*overrides, f"{folder}={path.stem}"])
        except InputError:  # this file needs other overrides too
            continue
    return composed


def as_overrides(name: str, changed: Changes) -> str:
    """Write an experiment and its changes as one would type them after -S.

    >>> changed = {"train.epochs": {"conf": 2, "used": 3}, "arms.clr.clr": {"conf": {}}}
    >>> as_overrides("quick", changed)
    'experiment=quick train.epochs=3 ~arms.clr.clr'
    >>> print(as_overrides("quick", {"data.path": {"conf": None, "used": "~/my images"}}))
    experiment=quick "data.path='~/my images'"
    """
    words = [_override(key, change) for key, change in changed.items()]
    return " ".join([f"experiment={name}", *map(plain.word, words)])


def _override(key: str, change: Mapping[str, Any]) -> str:
    if "used" not in change:
        return f"~{key}"
    parent, rates, pattern = key.partition(_RATES)
    if rates:  # a pattern has special characters, which stand only within a value
        return f"++{parent}{rates[:-1]}={plain.typed({pattern: change['used']})}"
    plus = "" if "conf" in change or key.startswith(OPEN) else "+"
    return f"{plus}{key}={plain.typed(change['used'])}"


def side(change: Mapping[str, Any], name: str) -> str:
    """Write one side of a change for a reader: "used" or "conf".

    >>> side({"used": 0.8}, "used"), side({"used": 0.8}, "conf")
    ('0.8', 'none')
    """
    return shown(change[name]) if name in change else "none"


def shown(value: Any) -> str:
    """Write a value for a reader: branches and digests are left out.

    >>> shown([1, 2]), shown(None), shown({"schedule": "constant"}), shown("0" * 64)
    ('[1, 2]', 'null', '...', '...')
    """
    text = "null" if value is None else str(value)
    return "..." if isinstance(value, Mapping) or len(text) > _LONGEST_VALUE else text
