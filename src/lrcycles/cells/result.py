"""Types result.json: what one training was, what it reached and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from lrcycles import files
from lrcycles.errors import InputError

SCHEMA = 1
Status = Literal["finished", "diverged"]
AVERAGES = ("ema", "last")


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """Scores on the validation images at the end of an epoch; `epoch` and `step` count from 1."""

    epoch: int
    step: int
    validation_loss: float
    validation_error_percent: float


@dataclass(frozen=True, kw_only=True)
class ScheduleResult:
    """The schedule of a training, with the bounds' values filled in; rates per update."""

    name: str
    base_lr: float | None = None
    max_lr: float | None = None
    step_size: int | None = None  # half a cycle, in steps
    cycles: int | None = None
    warmup_steps: int | None = None
    decay_steps: int | None = None
    shape: str | None = None
    final_lr: float | None = None
    gamma: float | None = None
    power: float | None = None
    factor: float | None = None
    patience_epochs: int | None = None


@dataclass(frozen=True, kw_only=True)
class AverageResult:
    """Scores of an average of a training's weights; None if the training diverged."""

    settings: Mapping[str, float]  # decay of ema, checkpoints of last
    test_error_percent: float | None
    test_loss: float | None
    validation_error_percent: float | None
    validation_loss: float | None


AVERAGE_SCORES = [each.name for each in fields(AverageResult) if each.name != "settings"]


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One training that finished or diverged.

    A training is diverged if the loss of one of its mini-batches, or the validation loss at the end
    of its last epoch, is not finite. No threshold is involved: a training whose loss is large but
    finite is finished. A diverged training has no final scores (None). `history` holds the epochs
    whose losses are all finite.

    Errors are percentages of wrong images, losses are mean cross-entropies. `train_seconds` is
    without compilation and evaluation.
    """

    group: str
    arm: str
    seed: int
    key: str
    status: Status
    schedule: ScheduleResult
    optimizer: Mapping[str, Any]
    model: Mapping[str, Any]
    classes: int
    epochs: int
    batch_size: int
    training_set: Literal["split", "all"]
    images: int  # training images
    data: str  # digest of images and split
    test_error_percent: float | None
    test_loss: float | None
    validation_error_percent: float | None
    validation_loss: float | None
    train_seconds: float
    compile_seconds: float
    evaluate_seconds: float
    steps: int  # rows of steps.parquet; a diverged training ends with the epoch of its divergence
    steps_per_second: float | None
    device: str
    device_name: str
    threads: int
    side_by_side: int
    backend: str
    precision: str
    compile: str
    versions: Mapping[str, str]
    history: Sequence[EpochResult]
    momentum: Mapping[str, float] | None = None
    class_weights: Sequence[float] | None = None
    averages: Mapping[str, AverageResult] = field(default_factory=dict)
    streamed: bool = False
    uses_bounds: bool = False
    continues: str | None = None
    parent: str | None = None
    test_images: int | None = None  # correct.npy holds a bit for each
    diverged_at_step: int | None = None  # the first whose mini-batch loss is not finite
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if unknown := self.averages.keys() - set(AVERAGES):
            raise InputError(
                f"averages must be some of {', '.join(AVERAGES)}. Received: "
                f"{', '.join(map(repr, sorted(unknown)))}. Train again."
            )
        if self.status not in get_args(Status):
            raise InputError(
                f"status must be one of {', '.join(get_args(Status))}. Received: {self.status!r}. "
                "Train again."
            )

    @property
    def finished(self) -> bool:
        """Whether the training reached its end with finite losses."""
        return self.status == "finished"

    def averaged(self, name: str) -> Self:
        """Give the result that an average of the weights has, under a key of its own."""
        average = self.averages[name]
        return replace(
            self,
            key=f"{self.key}.{name}",
            status="diverged" if average.test_error_percent is None else "finished",
            test_error_percent=average.test_error_percent,
            test_loss=average.test_loss,
            validation_error_percent=average.validation_error_percent,
            validation_loss=average.validation_loss,
            history=[],
            averages={},
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Type the content of result.json; keys that this version does not know are left out.

        Raises:
            InputError: a key is missing, the status is unknown, or a later version wrote it.
        """
        schema = values.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise InputError(
                f"result.json must have schema {SCHEMA}. Received: schema {schema}. Use the "
                "version of lrcycles that wrote it, or train again."
            )
        names = {each.name for each in fields(cls)}
        needed = {
            each.name
            for each in fields(cls)
            if each.default is MISSING and each.default_factory is MISSING
        }
        if missing := sorted(needed - values.keys()):
            raise InputError(
                f"result.json must hold {', '.join(missing)}. Received: a file without them. "
                "Train again, or use the version of lrcycles that wrote it."
            )
        typed = {name: value for name, value in values.items() if name in names}
        typed["schedule"] = ScheduleResult(**values["schedule"])
        typed["history"] = [EpochResult(**entry) for entry in values["history"]]
        typed["averages"] = {
            name: AverageResult(**average) for name, average in values.get("averages", {}).items()
        }
        return cls(**typed)

    def to_dict(self) -> dict[str, Any]:
        """Give the content of result.json."""
        return asdict(self)


def read_result(path: Path) -> CellResult:
    """Read result.json.

    Raises:
        InputError: the file is damaged or lacks a key.
    """
    values = files.read_json(path)
    try:
        return CellResult.from_dict(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} must hold the result of a training. Received: {type(values).__name__} "
            f"({error}). Train again."
        ) from error


def write_result(path: Path, result: CellResult) -> None:
    """Write result.json, whole or not at all."""
    files.write_json(path, result.to_dict())
