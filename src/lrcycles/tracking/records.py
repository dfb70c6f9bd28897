"""Keeps on disk what MLflow shall hold of a stage, until MLflow holds it.

A record is a folder below .lrcycles/mlflow/. Its process locks it as long as the process lives, so
a record that can be locked belongs to a process that has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from lrcycles import files
from lrcycles.tracking import processes, writers

_CONTENT = "record.json"
_MARKS = "marks.jsonl"
_SAMPLES = "samples.jsonl"
SCHEMA = 1  # of a record's content


def folder_of(root: Path) -> Path:
    """Name the folder of the records of a project."""
    return root / ".lrcycles" / "mlflow"


@dataclass
class Record:
    """What MLflow shall hold of a stage, and what it holds already."""

    folder: Path
    content: dict[str, Any]
    lock: FileLock
    fresh: bool  # no earlier process has tried to write the record to MLflow
    removed: bool = False
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Whether the stage has ended."""
        return bool(self.content["run"]["status"] != "RUNNING")

    def save(self) -> None:
        """Write the content to disk, unless MLflow holds all of it already."""
        with self._writing:
            if not self.removed:
                # Not `write_json`: its layout takes thirty times as long, and a stage of a thousand
                # cells saves its record every second.
                files.write_text(self.folder / _CONTENT, json.dumps(self.content))

    def publish(self) -> None:
        """Let later stages and `lrcycles sync` find the record."""
        self.save()
        self.folder = self.folder.rename(self.folder.with_name(self.folder.name.lstrip(".")))

    def keep(self, path: Path, name: str) -> None:
        """Keep a file, or the files of a folder, as the stage has left them."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            _link(path, target)
            return
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.name != files.MANIFEST:
                place = target / file.relative_to(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(file, place)

    def mark(self, store: str, steps: Mapping[str, Any]) -> None:
        """Note that steps of writing to a store are done, and what each has returned."""
        marks = [{"store": store, "step": step, "value": value} for step, value in steps.items()]
        with self._writing, (self.folder / _MARKS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(mark) + "\n" for mark in marks)

    def marks(self, store: str) -> dict[str, Any]:
        """Read which steps of writing to a store are done."""
        return {
            line["step"]: line["value"] for line in self._lines(_MARKS) if line["store"] == store
        }

    def forget_marks(self) -> None:
        """Write everything again, to whatever store."""
        self.fresh = False
        with self._writing:
            (self.folder / _MARKS).unlink(missing_ok=True)

    def add_sample(self, sample: dict[str, Any]) -> None:
        """Keep a sample of the use of the machine."""
        line = json.dumps(sample)
        with self._writing, (self.folder / _SAMPLES).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def samples(self) -> list[dict[str, Any]]:
        """Read the samples of the use of the machine."""
        return self._lines(_SAMPLES)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # half a line of a killed process
                    kept.append(json.loads(line))
        return kept

    def remove(self) -> None:
        """Delete the record."""
        with self._writing:
            self.removed = True
            (self.folder / _CONTENT).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.lock.release()


def create(root: Path, content: dict[str, Any]) -> Record:
    """Make and lock a new record, which nobody else sees before it is published."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    name = f".{moment}-{time.time_ns() % 10**9:09}-{content['token'][:8]}.{os.getpid()}"
    folder = folder_of(root) / name
    folder.mkdir(parents=True)
    lock = FileLock(folder / "lock", thread_local=False)
    lock.acquire(blocking=False)
    return Record(folder, content, lock, fresh=True)


def new_content(
    stage: str,
    *,
    root: Path,
    config: Mapping[str, Any],
    experiment: str,
    launched: str | None = None,
    pipeline_key: str | None = None,
) -> dict[str, Any]:
    """Make the content of the record of a stage that begins now.

    Args:
        launched: the run of `mlflow run`, which becomes the parent.
        pipeline_key: names the pipeline's run; by default it follows from the process.
    """
    tags = {"lrcycles.experiment": experiment, **processes.origin_tags()}
    return {
        "token": new_token(),
        "stage": stage,
        "schema": SCHEMA,
        "run": {
            "status": "RUNNING",
            "start": round(time.time() * 1000),
            "end": None,
            "tags": tags,
            "later_tags": {},
            "params": writers.clean_params(config),
            "points": [],
            "has_dataset": False,
        },
        "pipeline": _new_pipeline(stage, root, tags, launched, pipeline_key),
        "data": None,
        "cells": [],
        "used": [],
        "refused": False,
    }


def _new_pipeline(
    stage: str, root: Path, tags: Mapping[str, str], launched: str | None, pipeline_key: str | None
) -> dict[str, Any]:
    owner = processes.pipeline_owner()
    by_hand = pipeline_key is None and not launched and processes.is_by_hand(owner)
    experiment, dvc_name = tags["lrcycles.experiment"], tags.get("lrcycles.dvc_exp_name")
    name = experiment
    note = (
        f"Pipeline run of experiment `{experiment}`. Its stages are the runs below it. "
        "The answer appears here when stage `report` has ended."
    )
    if by_hand:
        name = f"{experiment}: {stage} by hand"
        note = f"Stage `{stage}` of experiment `{experiment}`, run by hand without a pipeline."
    elif dvc_name:
        name = f"{experiment} ({dvc_name})"
    return {
        "key": pipeline_key or processes.pipeline_key(owner, root),
        "launched": launched,
        "by_hand": by_hand,
        "name": name,
        "process": processes.process_tags(owner),
        "tags": {tag: value for tag, value in tags.items() if tag != "lrcycles.dvc_stage"},
        "first_note": note,
        "note": "",
        "points": [],
        "report": "",
        "arms": [],
    }


def new_token() -> str:
    return uuid.uuid4().hex


def left_behind(root: Path, *, wait_seconds: float = 0.0) -> Iterator[Record]:
    """Lock and give the records of processes that have ended, the oldest first.

    The run of a stage that has not ended becomes KILLED. A damaged record is deleted, because the
    runs cannot be completed from it.

    Args:
        wait_seconds: how long to wait for a record that another process is writing to MLflow.
    """
    for hidden in folder_of(root).glob(".*.*/"):
        pid = hidden.suffix.removeprefix(".")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(hidden, ignore_errors=True)
    for folder in sorted(folder_of(root).glob("[!.]*/")):
        lock = FileLock(folder / "lock", thread_local=False)
        try:
            lock.acquire(timeout=wait_seconds if _has_ended(folder) else 0)
        except (Timeout, OSError):  # OSError: another process has just deleted it
            continue
        content = _read(folder)
        if content is None:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
            continue
        record = Record(folder, content, lock, fresh=False)
        if not record.ended:
            content["run"]["status"] = "KILLED"
            content["run"]["end"] = round(time.time() * 1000)
            record.save()
        try:
            yield record
        finally:
            lock.release()


def earliest_start(root: Path, content: Mapping[str, Any]) -> int:
    """Find when the first stage began of those that wait for MLflow, in milliseconds.

    Args:
        content: of a stage of the same pipeline.
    """
    waiting = [content, *map(_read, folder_of(root).glob("[!.]*/"))]
    return min(
        int(each["run"]["start"])
        for each in waiting
        if each and each["pipeline"]["key"] == content["pipeline"]["key"]
    )


def are_waiting(root: Path) -> bool:
    """Return whether MLflow lacks something of a stage."""
    return any(folder_of(root).glob("[!.]*/"))


def _has_ended(folder: Path) -> bool:
    content = _read(folder)
    return content is not None and content["run"]["status"] != "RUNNING"


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / _CONTENT).read_text(encoding="utf-8"))
        cells = [folder / "cells" / cell["name"] for cell in content["cells"]]
        needed = [cell / name for cell in cells for name in ("result.json", "steps.parquet")]
        whole = content["schema"] == SCHEMA and all(path.exists() for path in needed)
        return content if whole and content["run"]["status"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it where links do not work."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
