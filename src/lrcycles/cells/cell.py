"""Describes one training exactly: everything that decides its numbers, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Runtime:
    """What a training runs on; part of a cell's key, since it can change bits."""

    backend: str
    device: str  # cpu or gpu
    precision: str
    threads: int
    side_by_side: int  # cells that one program trains
    versions: Mapping[str, str]
    sources: str  # digest of the code that trains


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: everything that decides its numbers, and nothing else."""

    group: str
    arm: str
    seed: int
    schedule: Mapping[str, Any]  # name, base_lr, max_lr, step_size, cycles
    optimizer: Mapping[str, Any]  # name, arguments
    model: Mapping[str, Any]  # function, arguments
    classes: int
    epochs: int
    batch_size: int
    training_set: str  # split, or all: the test set is the validation set then
    compile: str
    data: str  # digest
    runtime: Runtime
    momentum: Mapping[str, float] | None = None  # base_momentum, max_momentum of cycled momentum
    class_weights: Sequence[float] | None = None  # multiply the training loss, by class
    streamed: bool = False  # read by windows, which are shuffled one by one
    uses_bounds: bool = False  # a rate is one that stage `bounds` chose: that has its price
    continues: str | None = None
    parent: str | None = None  # key of the cell whose weights this one starts from

    @property
    def key(self) -> str:
        """SHA-256 over everything but names and where a rate comes from, which decide no number."""
        content = asdict(self)
        for name in ("group", "arm", "continues", "uses_bounds"):
            del content[name]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def shape(self) -> tuple[Any, ...]:
        """What is compiled for: cells of equal shape share one program."""
        momentum = self.momentum is not None
        return (
            *(self.model, self.optimizer, self.compile, self.runtime, self.classes),
            *(self.batch_size, self.training_set, self.streamed, self.class_weights, momentum),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        return cls(**{**values, "runtime": Runtime(**values["runtime"])})


def link(cells: Iterable[Cell]) -> list[Cell]:
    """Give every continuing cell its parent's key, in any depth."""
    named = {(cell.arm, cell.seed): cell for cell in cells}

    def linked(cell: Cell) -> Cell:
        if cell.continues is None:
            return cell
        return replace(cell, parent=linked(named[cell.continues, cell.seed]).key)

    return [linked(cell) for cell in named.values()]


def chains(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group cells so that a parent and what continues it follow one another in one chain.

    Chains are interleaved by seed, so that a slow phase of the machine hits every arm alike.
    """
    roots: dict[str, list[Cell]] = {}
    root_of: dict[str, str] = {}
    pending = sorted(cells, key=lambda cell: cell.seed)
    while pending:
        later = []
        for cell in pending:
            if cell.parent is None or not any(cell.parent == other.key for other in cells):
                root_of[cell.key] = cell.key
                roots.setdefault(cell.key, [cell])
            elif cell.parent in root_of:
                root_of[cell.key] = root_of[cell.parent]
                roots[root_of[cell.key]].append(cell)
            else:
                later.append(cell)
        pending = later
    return list(roots.values())


def teams(chains: Iterable[Sequence[Cell]]) -> list[list[Sequence[Cell]]]:
    """Group chains whose cells have equal shapes, so that one program trains them side by side."""
    found: dict[str, list[list[Sequence[Cell]]]] = {}
    for chain in chains:
        alike = found.setdefault(repr([(cell.shape, cell.epochs) for cell in chain]), [[]])
        if len(alike[-1]) == chain[0].runtime.side_by_side:
            alike.append([])
        alike[-1].append(chain)
    return [team for alike in found.values() for team in alike]
