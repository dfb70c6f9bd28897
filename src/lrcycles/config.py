"""Is this configuration whole and right?

YAML owns the values, schema.py owns the types; Hydra composes, OmegaConf checks.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from lrcycles.arm_checks import can_tune

# What the checks share with their users is public here.
from lrcycles.config_checks import check_function as check_function
from lrcycles.config_checks import check_values
from lrcycles.errors import InputError
from lrcycles.schedule_checks import check_cycles
from lrcycles.schedules import cycle_step_size, repeats
from lrcycles.schema import GROUPS, Config, TrainingSet
from lrcycles.settings import arm_length
from lrcycles.settings import seed_list as seed_list

FEWEST_SEEDS = 6  # with 5 pairs the smallest two-sided sign-flip p is 2 / 32
MANY_COMPARISONS, SEEDS_FOR_MANY = 6, 12


def compose(conf: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Compose conf/ with `overrides`, as Hydra does; `render` gives the bytes DVC would write."""
    import yaml
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(conf.resolve()), version_base=None):
            composed = hydra_compose(config_name="config", overrides=overrides or [])
        OmegaConf.resolve(composed)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise InputError(f"conf/ does not compose: {_one_line(error)}") from error
    except (ValueError, TypeError) as error:  # Hydra's, of a group that is set to no file's name
        raise InputError(
            f"conf/ does not compose with {' '.join(overrides or []) or 'its own values'}: "
            f"{_one_line(error)}; a folder of conf/ takes the name of a file in it"
        ) from error
    return cast(dict[str, Any], OmegaConf.to_container(composed))


def render(values: Mapping[str, Any]) -> str:
    """The text of params.yaml."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml without checking its values."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's; OmegaConf raises one without a number for a bare 3
        raise InputError(f"{path.name} is not readable YAML: {_one_line(error)}") from error
    return _mapping(values, path.name)


def edited_by_hand(root: Path) -> bool:
    """Whether params.yaml is not the one that the pipeline wrote last.

    dvc.lock knows its digest; before there is one, git knows the file that the clone came with.
    """
    import yaml

    lock = root / "dvc.lock"
    found = (root / "params.yaml").read_bytes()
    if lock.exists():
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        outs = stages.get("config", {}).get("outs", [])
        written = {out["path"]: out["md5"] for out in outs}
        if "params.yaml" in written:
            return bool(
                written["params.yaml"] != hashlib.md5(found, usedforsecurity=False).hexdigest()
            )
    committed = _committed(root, "params.yaml")
    return committed is not None and committed != found


def check(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a `Config`, or raise InputError naming the key, value and remedy."""
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    values = _mapping(values, "params.yaml")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), values)
        if missing := OmegaConf.missing_keys(merged):
            raise InputError(f"need a value for {', '.join(sorted(missing))}, got none")
        config = cast(Config, OmegaConf.to_object(merged))
    except ConfigKeyError as error:
        raise InputError(_unknown_key(error, values)) from error
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {_one_line(error)}") from error
    check_values(config)
    return config


def warnings(config: Config) -> list[str]:
    """What is allowed but unwise, in sentences.

    Raises:
        InputError: an arm whose cycles are a constant rate after less than an epoch.
    """
    return [*_few_seeds(config), *_unwise_cycles(config)]


def differences(values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Every key where `values` and `reference` differ: {key: {"conf": reference, "used": value}}.

    A branch that only one side has is one entry, not one per leaf.

    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    {'a.b': {'conf': 3, 'used': 1}}
    """
    return dict(_walk(values, reference, ""))


def flatten(config: Config) -> dict[str, Any]:
    """The configuration as flat dotted keys, for MLflow's parameters."""

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))
        elif value is not None:
            yield prefix, plain(value)

    return dict(leaves(plain(config), ""))


def plain(value: Any) -> Any:
    """Dataclasses and enums as plain dictionaries and strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def _few_seeds(config: Config) -> list[str]:
    family = _comparisons(config)
    seeds = len(seed_list(config.train.seeds, "train.seeds"))
    enough = SEEDS_FOR_MANY if family > MANY_COMPARISONS else FEWEST_SEEDS
    while not _can_be_decided(family, enough):
        enough += 1
    if family == 0 or seeds >= enough:
        return []
    if seeds < FEWEST_SEEDS:
        return [
            f"fewer than {FEWEST_SEEDS} seeds leave every comparison undecided, got {seeds}: "
            f"raise train.seeds to {enough}"
        ]
    if not _can_be_decided(family, seeds):
        return [
            f"{family} comparisons of {seeds} seeds leave even the clearest difference undecided: "
            f"raise train.seeds to {enough}"
        ]
    return [
        f"{family} comparisons need {SEEDS_FOR_MANY} seeds or more to be decided, "
        f"got {seeds}: raise train.seeds"
    ]


def _unwise_cycles(config: Config) -> list[str]:
    """What there is to say of each arm's cycles; a replay's are as they were published."""
    told = []
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            if not repeats(arm.schedule.value) or arm.training_set == TrainingSet.all:
                continue
            epochs, batch_size, images = arm_length(config, arm)
            steps_per_epoch = images // batch_size
            total_steps = epochs * steps_per_epoch
            step_size, cycles = arm.step_size, None
            if step_size is None:
                cycles = arm.cycles or config.train.cycles
                step_size = cycle_step_size(total_steps, cycles)
            try:
                said = check_cycles(
                    arm.schedule.value,
                    total_steps=total_steps,
                    step_size=step_size,
                    steps_per_epoch=steps_per_epoch,
                    cycles=cycles,
                )  # without gamma: that of a run leaves a tenth at its end, however long it is
            except InputError as error:
                raise InputError(f"arms.{group}.{name}: {error}") from error
            told += [f"{name}: {sentence}" for sentence in said]
    return told


def _comparisons(config: Config) -> int:
    """How many verdicts the report will give: the family that it adjusts for."""
    arms = {name: arm for group in GROUPS for name, arm in getattr(config.arms, group).items()}
    first = next(iter(config.arms.baseline))
    pairs = sum(
        1 if arm.against is None else len(arm.against)
        for name, arm in arms.items()
        if arm.training_set == TrainingSet.split and name != first
    )
    pairs += can_tune(config)
    replayed = len(arms.keys() & config.report.published.keys())
    steps = len(arms.keys() & config.report.waterfall.keys())
    # Error and time of the pairs; only the error of a replay and of what it consists of.
    return 2 * pairs + max(replayed - 1, 0) + max(steps - 1, 0)


def _can_be_decided(family: int, seeds: int) -> bool:
    """Whether the smallest p that `seeds` sign flips can give survives Holm's first step."""
    return family * 0.5 ** (seeds - 1) < 0.05


def _walk(used: Any, conf: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(used, Mapping) and isinstance(conf, Mapping) and used and conf:
        for key in [*conf, *(key for key in used if key not in conf)]:
            path = f"{prefix}.{key}" if prefix else str(key)
            yield from _walk(used.get(key), conf.get(key), path)
    elif used != conf or type(used) is not type(conf):
        yield prefix, {"conf": conf, "used": used}


def _committed(root: Path, name: str) -> bytes | None:
    """The bytes of a file in git's last commit; None without git or outside it."""
    try:
        shown = subprocess.run(["git", "-C", root, "show", f"HEAD:./{name}"], capture_output=True)
    except OSError:
        return None
    return shown.stdout if shown.returncode == 0 else None


def _mapping(values: Any, name: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        received = repr(values) if len(repr(values)) < 60 else f"a {type(values).__name__}"
        raise InputError(
            f"need {name} to hold keys and values, got {received}: `dvc repro config` restores it"
        )
    return dict(values)


def _unknown_key(error: Any, values: Mapping[str, Any]) -> str:
    parent, _, _key = str(error.full_key).rpartition(".")
    known = ", ".join(f.name for f in fields(error.object_type)) if error.object_type else ""
    where = f"known keys of {parent}" if parent else "known keys"
    return f"unknown key {error.full_key}; {where}: {known or ', '.join(values)}"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(" full_key:")[0]
