"""Checks the results of earlier stages before a stage believes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lrcycles import files
from lrcycles.errors import InputError


def checked(root: Path, stage: str) -> Path:
    """Find the results of a stage.

    Args:
        stage: as DVC names it, such as train@clr.

    Raises:
        InputError: the stage has not run, or a file is not as the stage wrote it.
    """
    name = f"artifacts/{stage.replace('@', '/')}"
    folder = root / name
    if not folder.exists():
        raise InputError(
            f"{name} must be there. Received: no such folder. Run `dvc repro {stage}`."
        )
    found = files.damage(folder, stage)
    if found is None:
        return folder
    again = f"Run `dvc repro --force --single-item {stage}`"
    if stored := _damaged_object(root, name, found.file):
        again = f"Delete {stored}, which DVC copied here, then r{again[1:]}"
    raise InputError(
        f"{name} must be as stage {stage} wrote it. Received: {found}. {again}, then the pipeline."
    )


def _damaged_object(root: Path, out: str, file: str) -> Path | None:
    """Find the file's copy in DVC's cache, if that is damaged too: DVC would copy it again.

    Args:
        out: path of the folder in dvc.lock.
    """
    import yaml

    cache = root / ".dvc" / "cache" / "files" / "md5"
    try:
        stages = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"].values()
        [digest] = {
            one["md5"] for stage in stages for one in stage.get("outs", []) if one["path"] == out
        }
        listed = json.loads((cache / digest[:2] / digest[2:]).read_text(encoding="utf-8"))
        [md5] = {entry["md5"] for entry in listed if entry["relpath"] == file}
        stored = cache / md5[:2] / md5[2:]
        content = stored.read_bytes()
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None
    whole = hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
    return None if whole else stored.relative_to(root)
