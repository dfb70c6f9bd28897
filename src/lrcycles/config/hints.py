"""Words what is wrong with an override, and names the nearest right one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lrcycles.config import plain
from lrcycles.config.limits import MOST_LETTERS, need_plain
from lrcycles.config.plain import flat, one_line, received, shown
from lrcycles.config.schema import Config
from lrcycles.errors import InputError
from lrcycles.schedules.optimizers import OPTIMIZERS, class_named

MOST_NAMES = 12  # more would hide the rest of the line
# The keys in these mappings are the arguments of other people's functions.
OPEN = ("model.arguments.", "optimizer.arguments.", "optimizer.layer_rates.")


def accepted(overrides: Iterable[str]) -> list[str]:
    """Let an argument be set with and without `+`, whether conf/ has it or not.

    >>> accepted(["model.arguments.units=64", "+optimizer.arguments.beta_1=0.8", "train.epochs=3"])
    ['++model.arguments.units=64', '++optimizer.arguments.beta_1=0.8', 'train.epochs=3']
    """
    return [
        f"++{text.lstrip('+')}" if text.lstrip("+").startswith(OPEN) else text for text in overrides
    ]


def explain(
    conf: Path,
    overrides: Sequence[str],
    error: Exception,
    compose: Callable[[Path, list[str]], Mapping[str, Any]],
) -> str:
    """Say in one line why Hydra refused the overrides.

    Args:
        error: what Hydra raised. Its words are used if no override is found to be wrong.
        compose: composes conf/ with the overrides that choose files.
    """
    choices = []
    for text in overrides:
        if message := _wrong_alone(conf, text):
            return message
        if _group(conf, text):
            choices.append(text)
    others = [text for text in overrides if text not in choices]
    if others:
        values = compose(conf, choices)
        for text in others:
            if message := _wrong_key(conf, values, text):
                return message
    if message := _wrong_file(conf):
        return message
    if missing := re.search(r"Could not override '([^']+)'", str(error)):
        new = next((text for text in overrides if text.startswith(missing[1])), missing[1])
        return (
            f"A key that an override changes must have a value in conf/. Received: {shown(new)}. "
            f"Write '+{shown(new)}' to add it."
        )
    asked = f"{shown(' '.join(overrides))}, and the error: " if overrides else "the error: "
    why = one_line(error)[:MOST_LETTERS] or type(error).__name__
    if isinstance(error, RecursionError):
        why = "files that include one another without end, or a value that is nested too deeply"
    return f"conf/ must compose. Received: {asked}{why}. Correct the override or the file in conf/."


def unresolved(composed: Any) -> str:
    """Name the key whose `${...}` has no value, after OmegaConf has refused it."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    values: Any = OmegaConf.to_container(composed, resolve=False)
    for key, value in flat(values).items():
        if "${" not in str(value):
            continue
        try:
            OmegaConf.resolve(OmegaConf.create({"value": OmegaConf.select(composed, key)}))
        except OmegaConfBaseException as error:
            return (
                f"{key} must have a value. Received: {shown(str(value))}, with the error: "
                f"{one_line(error)}. Correct what stands in ${{...}}."
            )
    return "Every ${...} must have a value. Received: one without. Correct it in conf/."


def _wrong_file(conf: Path) -> str | None:
    """Name a file of conf/ that holds no keys and values, which Hydra does not."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for path in sorted(conf.rglob("*.yaml")):
        place = path.relative_to(conf.parent)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (RecursionError, ValueError) as error:  # ValueError: it is no text
            content = error
        except (OSError, yaml.YAMLError):  # the error of Hydra names the file and the line
            continue
        if not isinstance(content, Mapping):
            why = one_line(content) if isinstance(content, Exception) else received(content)
            return f"{place} must hold keys and values. Received: {why}. Correct the file."
        try:
            need_plain(content)
            OmegaConf.create(dict(content))
        except InputError as error:
            return f"{place}: {error}"
        except OmegaConfBaseException as error:
            why = one_line(error)
            return f"{place} must have readable values. Received: {why}. Correct the file."
    return None


def without_effect(conf: Path, values: Mapping[str, Any], overrides: Iterable[str]) -> str | None:
    """Name an override that Hydra accepts and ignores.

    Hydra merges an empty mapping into the old one, and passes over a file that is optional.
    """
    from omegaconf import OmegaConf

    for text in overrides:
        override = _parsed(text)
        if text.startswith("replay=") and (message := _wrong_alone(conf, text)):
            return message
        if override is None or override.is_delete() or override.value() != {}:
            continue
        left = OmegaConf.select(OmegaConf.create(dict(values)), override.key_or_group)
        if left:
            key = override.key_or_group
            return (
                "An override must change something, and an empty mapping leaves every key as it "
                f"was. Received: {text}. Set single keys with {key}.KEY=VALUE, or remove "
                f"those that may be left out with ~{key}.KEY."
            )
    return None


def unknown_key(key: str, siblings: Iterable[Any], others: Iterable[str] = ()) -> str:
    """Say that a key does not exist, and name the nearest one.

    Args:
        siblings: the keys that its mapping may have.
        others: every other key, for a key in a wrong place.
    """
    parent, _, last = key.rpartition(".")
    names = [str(name) for name in siblings]
    near = [f"{parent}.{name}".lstrip(".") for name in get_close_matches(last, names, 1)]
    others = [name for name in others if name != key and not name.startswith(f"{key}.")]
    elsewhere = [name for name in others if name.rpartition(".")[2] == last]
    near = near or sorted(elsewhere, key=lambda name: name.count("."))
    near = near or get_close_matches(key, others, 1, cutoff=0.75)
    where = f"Every key of {parent}" if parent else "Every key"
    remedy = f"Did you mean {near[0]}?" if near else "Correct or remove the key."
    if key == "group":  # an argument of stage train, and no key
        remedy = "Write `dvc repro train@GROUP`, or `python -m pipelines.train group=GROUP`."
    known = f"must be one of {', '.join(names)}" if names else "must be there already, and none is"
    return f"{where} {known}. Received: {shown(key)}. {remedy}"


def _parsed(text: str) -> Any:
    """Parse an override; None if it has no form that Hydra reads."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, ValueError):
        return None


def _group(conf: Path, text: str) -> Path | None:
    """Find the folder of conf/ that an override chooses a file of."""
    name = text.lstrip("+~").partition("=")[0].partition("@")[0]
    folder = conf / name
    return folder if name and "." not in name and folder.is_dir() else None


def _wrong_alone(conf: Path, text: str) -> str | None:
    override = _parsed(text)
    if override is None:
        return _unreadable(text)
    if not override.key_or_group:
        return _without_form(text)
    if override.is_sweep_override():
        return (
            f"A key must have one value here. Received: {text}. Train every value with "
            f"`dvc exp run --queue -S '{text}'` and `dvc exp run --run-all`, or write a list in "
            "brackets."
        )
    folder = _group(conf, text)
    if folder is None or (override.is_delete() and override.package):
        return None
    files = sorted(path.stem for path in folder.glob("*.yaml"))
    value = override.value()
    wrong = [name for name in (value if isinstance(value, list) else [value]) if name not in files]
    if wrong or not value:
        near = get_close_matches(str(wrong[0] if wrong else value), files, 1)
        remedy = (
            f"Did you mean {text.partition('=')[0]}={near[0]}?" if near else "Name one of them."
        )
        if folder.name == "optimizer" and (kind := class_named(str(value))) in OPTIMIZERS:
            remedy = f"Write optimizer.name={kind.lower()}."
        known = ", ".join(files) if len(files) <= MOST_NAMES else f"the files in conf/{folder.name}"
        return f"{folder.name} must be one of {known}. Received: {text}. {remedy}"
    if override.package and not (override.is_add() or override.is_force_add()):
        return (
            f"{override.key_or_group}@{override.package} must be in the experiment already. "
            f"Received: {text}. Write +{text} to add it."
        )
    if override.is_add() and not override.package:
        return (
            f"{override.key_or_group} must be chosen without +. Received: {text}. "
            f"Write {text.lstrip('+')}."
        )
    return None


def _unreadable(text: str) -> str:
    key, equals, value = text.partition("=")
    better = f"{key}={plain.quoted(value)}"
    if not equals or _parsed(better) is None:
        return _without_form(text)
    return (
        "A value with special characters must be in quotes of its own. "
        f"Received: {text}. Write {plain.word(better)}."
    )


def _without_form(text: str) -> str:
    return (
        f"An override must have the form key=value. Received: {text}. "
        "Write for example train.epochs=3."
    )


def _wrong_key(conf: Path, values: Mapping[str, Any], text: str) -> str | None:
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    override = _parsed(text)
    key = override.key_or_group
    parent, _, last = key.rpartition(".")
    known: Any = OmegaConf.create(dict(values))
    with suppress(OmegaConfBaseException):  # a file in conf/ may be wrong too
        known = OmegaConf.merge(OmegaConf.structured(Config), known)
    while parent and not isinstance(OmegaConf.select(known, parent), DictConfig):
        key = parent
        parent, _, last = parent.rpartition(".")
    mapping = OmegaConf.select(known, parent) if parent else known
    exists = _has(values, key)
    if last not in mapping:
        places = [*flat(values), *(path.name for path in conf.iterdir() if path.is_dir())]
        return unknown_key(key, mapping, places)
    if key != override.key_or_group:
        value = text.partition("=")[2]
        return f"{key} must be a value without keys. Received: {text}. Write {key}={value}."
    if override.is_delete() and not exists:
        return f"A key must be set before it can be removed. Received: {text}. Leave it out."
    if override.is_add() and exists:
        return f"{key} must be set without +. Received: {text}. Write {text.lstrip('+')}."
    if not (exists or override.is_add() or override.is_force_add() or override.is_delete()):
        return f"{key} must be added with +. Received: {text}. Write +{text}."
    return None


def _has(values: Mapping[str, Any], key: str) -> bool:
    node: Any = values
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True
