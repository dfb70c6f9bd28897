"""Is this configuration whole and right?

YAML owns the values, schema.py owns the types; Hydra composes, OmegaConf checks.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from lrcycles.errors import InputError
from lrcycles.schedules import cycle_step_size
from lrcycles.schema import BOUNDS, GROUPS, Arm, Config


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
    return cast(dict[str, Any], OmegaConf.to_container(composed))


def render(values: Mapping[str, Any]) -> str:
    """The text of params.yaml."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml without checking it."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path)))
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not readable YAML: {_one_line(error)}") from error


def edited_by_hand(root: Path) -> bool:
    """Whether params.yaml is not the one that the pipeline wrote last, by dvc.lock's digest."""
    import yaml

    lock = root / "dvc.lock"
    written: dict[str, str] = {}
    if lock.exists():
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        outs = stages.get("config", {}).get("outs", [])
        written = {out["path"]: out["md5"] for out in outs}
    found = hashlib.md5((root / "params.yaml").read_bytes(), usedforsecurity=False)
    return written.get("params.yaml") != found.hexdigest()


def check(values: Mapping[str, Any]) -> Config:
    """Turn plain values into a `Config`, or raise InputError naming the key, value and remedy."""
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), dict(values))
        if missing := OmegaConf.missing_keys(merged):
            raise InputError(f"need a value for {', '.join(sorted(missing))}, got none")
        config = cast(Config, OmegaConf.to_object(merged))
    except ConfigKeyError as error:
        raise InputError(_unknown_key(error, values)) from error
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {_one_line(error)}") from error
    _check_numbers(config)
    _check_arms(config)
    return config


def warnings(config: Config) -> list[str]:
    """What is allowed but unwise, in sentences."""
    found = []
    comparisons = sum(len(getattr(config.arms, group)) for group in GROUPS) - 1
    seeds = len(seed_list(config.train.seeds, "train.seeds"))
    if comparisons > 6 and seeds < 12:
        found.append(
            f"{comparisons} comparisons need 12 seeds or more to be decided, "
            f"got {seeds}: raise train.seeds"
        )
    return found


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


def seed_list(seeds: Any, name: str) -> list[int]:
    """A count n means 0..n-1; a list is itself.

    >>> seed_list(3, "train.seeds"), seed_list([7, 0], "train.seeds")
    ([0, 1, 2], [7, 0])
    """
    if _is_int(seeds) and seeds >= 1:
        return list(range(seeds))
    whole = isinstance(seeds, list) and all(_is_int(seed) and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) != len(seeds):
        raise InputError(
            f"need {name} to be a count >= 1 or a list of different seeds >= 0, got {seeds!r}"
        )
    return cast(list[int], seeds)


def arm_length(config: Config, arm: Arm) -> tuple[int, int, int]:
    """An arm's (epochs, batch_size, images it trains on)."""
    data = config.data
    images = data.train_images
    if arm.training_set == "all":
        images += data.validation_images
    epochs = config.train.epochs if arm.epochs is None else arm.epochs
    batch_size = config.train.batch_size if arm.batch_size is None else arm.batch_size
    return epochs, batch_size, images


def _check_numbers(config: Config) -> None:
    train, sweep, data = config.train, config.range_test, config.data
    for name, value in {
        "train.epochs": train.epochs,
        "train.batch_size": train.batch_size,
        "train.cycles": train.cycles,
        "range_test.steps": sweep.steps,
        "range_test.evaluate_every_steps": sweep.evaluate_every_steps,
        "range_test.heldout_images": sweep.heldout_images,
        "data.train_images": data.train_images,
        "data.validation_images": data.validation_images,
        "data.test_images": data.test_images,
    }.items():
        if value < 1:
            raise InputError(f"need {name} >= 1, got {value}")
    for name, value in {
        "train.workers": train.workers,
        "train.threads_per_cell": train.threads_per_cell,
    }.items():
        if value != "auto" and not (_is_int(value) and value >= 1):
            raise InputError(f"need {name} to be auto or a count >= 1, got {value!r}")
    seed_list(train.seeds, "train.seeds")
    seed_list(sweep.seeds, "range_test.seeds")
    _check_rates("range_test", sweep.min_lr, sweep.max_lr, names=("min_lr", "max_lr"))
    if not sweep.stop_factor > 1:
        raise InputError(f"need range_test.stop_factor > 1, got {sweep.stop_factor}")
    if not 0 < config.report.margin_percent < 100:
        raise InputError(
            f"need 0 < report.margin_percent < 100, got {config.report.margin_percent}"
        )
    if sweep.heldout_images > data.validation_images:
        raise InputError(
            f"need range_test.heldout_images <= data.validation_images, got "
            f"{sweep.heldout_images} > {data.validation_images}: lower range_test.heldout_images"
        )
    for name, function in {"model.function": config.model.function}.items():
        check_function(function, name)
    if ":" in data.source:
        check_function(data.source, "data.source")


def _check_arms(config: Config) -> None:
    groups: dict[str, str] = {}
    for group in GROUPS:
        for name, arm in getattr(config.arms, group).items():
            if name in groups:
                raise InputError(
                    f"arm names are unique, got {name!r} in both {groups[name]} and {group}: "
                    f"rename one"
                )
            groups[name] = group
            _check_arm(config, f"arms.{group}.{name}", group, arm)
    for group in GROUPS:
        arms = getattr(config.arms, group)
        for name in arms:
            _check_chain(arms, name, group)


def _check_arm(config: Config, where: str, group: str, arm: Arm) -> None:
    epochs, batch_size, images = arm_length(config, arm)
    for key, value in {"epochs": epochs, "batch_size": batch_size, "cycles": arm.cycles}.items():
        if value is not None and value < 1:
            raise InputError(f"need {where}.{key} >= 1, got {value}")
    if batch_size > images:
        raise InputError(
            f"need batch_size <= {images} training images, got {batch_size} in {where}: "
            f"lower train.batch_size or the arm's"
        )
    rates = [arm.base_lr, arm.max_lr]
    if BOUNDS in rates and group == "baseline":
        raise InputError(
            f"{where} asks for bounds, but group baseline trains before there are any: "
            f"move the arm to clr or controls"
        )
    constant = arm.schedule == "constant"
    if constant and (arm.max_lr, arm.cycles, arm.step_size) != (None, None, None):
        raise InputError(f"{where}: a constant schedule takes base_lr only, remove the rest")
    _check_rates(where, arm.base_lr, arm.base_lr if constant else arm.max_lr, equal=constant)
    if not constant and arm.step_size is None:
        try:
            cycle_step_size(epochs * (images // batch_size), arm.cycles or config.train.cycles)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    elif arm.step_size is not None and (arm.step_size < 1 or arm.cycles is not None):
        raise InputError(
            f"{where}: need either cycles or step_size >= 1, got cycles={arm.cycles}, "
            f"step_size={arm.step_size}"
        )


def _check_chain(arms: Mapping[str, Arm], name: str, group: str) -> None:
    seen = [name]
    while (parent := arms[seen[-1]].continues) is not None:
        if parent not in arms:
            raise InputError(
                f"arms.{group}.{seen[-1]} continues {parent!r}, which is not in group {group}: "
                f"add it there or name one of {', '.join(arms)}"
            )
        if parent in seen:
            raise InputError(f"arms.{group}: {' -> '.join([*seen, parent])} continue in a circle")
        seen.append(parent)


def _check_rates(
    where: str,
    base_lr: Any,
    max_lr: Any,
    *,
    names: tuple[str, str] = ("base_lr", "max_lr"),
    equal: bool = False,
) -> None:
    for name, value in zip(names, (base_lr, max_lr), strict=True):
        if value == BOUNDS:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            raise InputError(f"need {where}.{name} to be a rate > 0 or `bounds`, got {value!r}")
    if BOUNDS not in (base_lr, max_lr) and not equal and base_lr >= max_lr:
        raise InputError(
            f"need 0 < {names[0]} < {names[1]}, got {names[0]}={base_lr}, {names[1]}={max_lr} "
            f"in {where}: swap or change them"
        )


def check_function(function: str, name: str) -> None:
    """Check that "module:function" names a module that can be found, without importing it."""
    module, _, attribute = function.partition(":")
    try:
        found = importlib.util.find_spec(module) if module and attribute else None
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise InputError(
            f'need {name} as "module:function" with a module importable from the project\'s '
            f"root, got {function!r}"
        )


def _walk(used: Any, conf: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(used, Mapping) and isinstance(conf, Mapping) and used and conf:
        for key in [*conf, *(key for key in used if key not in conf)]:
            path = f"{prefix}.{key}" if prefix else str(key)
            yield from _walk(used.get(key), conf.get(key), path)
    elif used != conf or type(used) is not type(conf):
        yield prefix, {"conf": conf, "used": used}


def _unknown_key(error: Any, values: Mapping[str, Any]) -> str:
    parent, _, _key = str(error.full_key).rpartition(".")
    known = ", ".join(f.name for f in fields(error.object_type)) if error.object_type else ""
    where = f"known keys of {parent}" if parent else "known keys"
    return f"unknown key {error.full_key}; {where}: {known or ', '.join(values)}"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split(" full_key:")[0]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
