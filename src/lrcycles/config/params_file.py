"""Reads, renders and compares params.yaml, and recognises edits by hand."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrcycles.config.limits import need_few_values
from lrcycles.config.plain import need_mapping, one_line
from lrcycles.errors import InputError


def render(values: Mapping[str, Any]) -> str:
    """Return the text of params.yaml."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))


def read(path: Path) -> dict[str, Any]:
    """Read params.yaml without checking its values.

    Raises:
        InputError: the file is not YAML, or holds no keys and values.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    need_few_values([path])
    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except (
        *(OmegaConfBaseException, yaml.YAMLError, ValueError, OSError),
        RecursionError,  # of values that are nested too deeply
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk; OmegaConf raises an OSError without a number
        raise InputError(
            f"{path.name} must be readable YAML. Received: a file with this error: "
            f"{one_line(error)}. Correct the file, or run `dvc repro config` to restore it."
        ) from error
    return need_mapping(values, path.name)


def edited_by_hand(root: Path) -> bool:
    """Return whether params.yaml is neither as the pipeline wrote it last nor as git has it.

    dvc.lock holds the digest of what the pipeline wrote.
    """
    import yaml

    lock = root / "dvc.lock"
    current = (root / "params.yaml").read_bytes()
    committed = _committed(root, "params.yaml")
    if current == committed:
        return False
    if lock.exists():
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        outs = stages.get("config", {}).get("outs", [])
        written = {out["path"]: out["md5"] for out in outs}
        if "params.yaml" in written:
            return bool(
                written["params.yaml"] != hashlib.md5(current, usedforsecurity=False).hexdigest()
            )
    return committed is not None


def differences(values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return {key: {"conf": reference, "used": value}} where `values` and `reference` differ.

    A branch that only one of them has is one entry, not one per leaf. A key that one of them lacks
    has no value of that side.

    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    {'a.b': {'conf': 3, 'used': 1}}
    >>> differences({"a": {}, "b": 1}, {"a": {"c": 2}})
    {'a.c': {'conf': 2}, 'b': {'used': 1}}
    """
    return dict(_walk(values, reference, ""))


def _walk(used: Mapping[str, Any], conf: Mapping[str, Any], parent: str) -> Iterator[Any]:
    for name in [*conf, *(name for name in used if name not in conf)]:
        key = f"{parent}{name}"
        sides = {s: of[name] for s, of in (("conf", conf), ("used", used)) if name in of}
        before, after = sides.get("conf"), sides.get("used")
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _walk(after, before, f"{key}.")
        elif after != before or type(after) is not type(before):
            yield key, sides


def _committed(root: Path, name: str) -> bytes | None:
    """Return the bytes of a file in git's last commit; None without git or without the file."""
    try:
        process = subprocess.run(["git", "-C", root, "show", f"HEAD:./{name}"], capture_output=True)
    except OSError:
        return None
    return process.stdout if process.returncode == 0 else None
