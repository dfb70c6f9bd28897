"""Describes one training exactly: all that decides its numbers, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

# Names and the origin of a rate decide no number.
_NAMES = ("group", "arm", "continues", "uses_bounds")
# A sweep of the rate and a timed epoch start fresh, at rates of their own.
_WHOLE_TRAINING = (*_NAMES, "seed", "schedule", "epochs", "parent", "averages")


@dataclass(frozen=True)
class Runtime:
    """What a training runs on; part of a cell's key, because it can change bits."""

    backend: str
    device: str  # cpu or gpu
    precision: str
    threads: int
    side_by_side: int  # cells that one program trains
    versions: Mapping[str, str]
    sources: str  # digest of the code that trains


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: all that decides its numbers, and its names."""

    group: str
    arm: str
    seed: int
    schedule: Mapping[str, Any]  # name, base_lr, max_lr, step_size, cycles
    optimizer: Mapping[str, Any]  # name, arguments
    model: Mapping[str, Any]  # function, arguments
    classes: int
    epochs: int
    batch_size: int
    training_set: str  # split, or all: with all, the test set is the validation set
    compile: str
    data: str  # digest
    runtime: Runtime
    momentum: Mapping[str, float] | None = None  # base_momentum, max_momentum of cycled momentum
    class_weights: Sequence[float] | None = None  # factors of the training loss, by class
    # Of the weights, scored beside the trained weights: ema with decay, last with checkpoints.
    averages: Mapping[str, Mapping[str, Any]] | None = None
    streamed: bool = False  # the images are read and shuffled window by window
    uses_bounds: bool = False  # stage `bounds` chose one of the rates, which has a price
    continues: str | None = None
    parent: str | None = None  # key of the cell whose trained weights this cell starts from

    def __str__(self) -> str:
        return f"{self.arm} seed {self.seed}"

    @cached_property  # a stage of a thousand cells asks a million times
    def key(self) -> str:
        """SHA-256 over all that decides the training's numbers."""
        return digest_of(self.content(without=_NAMES))

    @property
    def keeps_ema(self) -> bool:
        """Whether every step updates an exponential moving average of the weights."""
        return "ema" in (self.averages or {})

    @property
    def shape(self) -> tuple[Any, ...]:
        """What decides the compiled program: cells of equal shape share one."""
        momentum = self.momentum is not None
        return (
            *(self.model, self.optimizer, self.compile, self.runtime, self.classes),
            *(self.batch_size, self.training_set, self.streamed, self.class_weights, momentum),
            self.keeps_ema,
        )

    @property
    def setting(self) -> dict[str, Any]:
        """What decides a step's arithmetic and time: all but seed, schedule, epochs and parent."""
        return self.content(without=_WHOLE_TRAINING)

    def content(self, *, without: Collection[str]) -> dict[str, Any]:
        """Return the fields as plain values, except those named."""
        return {name: value for name, value in asdict(self).items() if name not in without}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        """Make a cell of what `dataclasses.asdict` gave."""
        return cls(**{**values, "runtime": Runtime(**values["runtime"])})


def digest_of(content: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of plain values, whatever the order of their keys.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def link(cells: Iterable[Cell]) -> list[Cell]:
    """Give every continuing cell its parent's key; parents may continue cells themselves."""
    named = {(cell.arm, cell.seed): cell for cell in cells}

    def linked(cell: Cell) -> Cell:
        if cell.continues is None:
            return cell
        return replace(cell, parent=linked(named[cell.continues, cell.seed]).key)

    return [linked(cell) for cell in named.values()]


def chains(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group cells into chains, in which every parent comes before the cells that continue it.

    Chains are interleaved by seed, so that a slow phase of the machine hits every arm alike.
    """
    roots: dict[str, list[Cell]] = {}
    root_of: dict[str, str] = {}
    keys = {cell.key for cell in cells}
    pending = sorted(cells, key=lambda cell: cell.seed)
    while pending:
        later = []
        for cell in pending:
            if cell.parent not in keys:
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
    by_shape: dict[str, list[list[Sequence[Cell]]]] = {}
    for chain in chains:
        alike = by_shape.setdefault(repr([(cell.shape, cell.epochs) for cell in chain]), [[]])
        if len(alike[-1]) == chain[0].runtime.side_by_side:
            alike.append([])
        alike[-1].append(chain)
    return [team for alike in by_shape.values() for team in alike]
