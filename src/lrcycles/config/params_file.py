"""Reads, renders and compares params.yaml, and tells an edit by hand."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrcycles.config.compose import need_mapping, one_line
from lrcycles.errors import InputError


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
        raise InputError(f"{path.name} is not readable YAML: {one_line(error)}") from error
    return need_mapping(values, path.name)


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


def differences(values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Every key where `values` and `reference` differ: {key: {"conf": reference, "used": value}}.

    A branch that only one side has is one entry, not one per leaf.

    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    {'a.b': {'conf': 3, 'used': 1}}
    """
    return dict(_walk(values, reference, ""))


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
