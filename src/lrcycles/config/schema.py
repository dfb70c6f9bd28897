"""Defines the keys of a configuration and their types. Their values are in conf/."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from lrcycles.schedules.table import SCHEDULES

GROUPS = ("baseline", "clr", "controls")
TUNED = "tuned"  # the arm that the report makes from the constant rates
FEWEST_RATES = 3  # constant rates that the report needs to choose from
# Words for a rate that stage `bounds` chose. `bounds` is its base_lr for base_lr, its max_lr for
# max_lr.
BOUNDS = ("bounds", "bounds.base_lr", "bounds.max_lr", "bounds.geometric_mean")
# Sources of images. Any other source is a "module:function".
SOURCES = ("auto", "keras", "npm", "local", "sklearn")


class ScheduleName(StrEnum):
    """The names of `SCHEDULES`."""

    _ignore_ = "_name _members"
    _members = vars()
    for _name in SCHEDULES:
        _members[_name] = _name


class OptimizerName(StrEnum):
    adam = "adam"
    sgd = "sgd"
    rmsprop = "rmsprop"
    adagrad = "adagrad"
    adadelta = "adadelta"
    nadam = "nadam"
    adamw = "adamw"


class Ramp(StrEnum):
    linear = "linear"
    exponential = "exponential"


class RuleName(StrEnum):
    calibrated = "calibrated"
    smith = "smith"
    thirds = "thirds"
    valley = "valley"
    slide = "slide"
    steep = "steep"
    minimum = "minimum"
    lightning = "lightning"
    torch_lr_finder = "torch_lr_finder"
    ignite = "ignite"
    ktrain = "ktrain"
    ktrain_minimum = "ktrain_minimum"
    ktrain_valley = "ktrain_valley"


class TrainingSet(StrEnum):
    split = "split"  # type: ignore[assignment]  # hides str.split, which nothing here calls
    all = "all"


class Backend(StrEnum):
    tensorflow = "tensorflow"
    jax = "jax"


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Precision(StrEnum):
    float32 = "float32"
    mixed_bfloat16 = "mixed_bfloat16"
    mixed_float16 = "mixed_float16"


class Compile(StrEnum):
    auto = "auto"
    xla = "xla"
    graph = "graph"


class Feeding(StrEnum):
    auto = "auto"
    resident = "resident"
    streamed = "streamed"


class SaveModels(StrEnum):
    all = "all"
    first_seed = "first_seed"
    none = "none"


@dataclass
class Data:
    name: str
    source: str  # one of SOURCES or "module:function"
    path: str | None
    sha256: dict[str, str] | None
    classes: list[str]
    image_shape: list[int]
    train_images: int
    validation_images: int
    test_images: int
    split_seed: int


@dataclass
class Model:
    name: str
    function: str  # "module:function"
    arguments: dict[str, Any]


@dataclass
class Optimizer:
    name: OptimizerName
    arguments: dict[str, Any] = field(default_factory=dict)
    # Pattern of a layer's name -> factor of its rate.
    layer_rates: dict[str, Any] = field(default_factory=dict)


@dataclass
class RangeTest:
    ramp: Ramp
    min_lr: float
    max_lr: float
    steps: int
    seeds: Any  # a count or a list
    evaluate_every_steps: int
    heldout_images: int
    stop_factor: float
    widen: int


@dataclass
class BoundsConfig:
    rule: RuleName


@dataclass
class Train:
    epochs: int
    batch_size: int
    seeds: Any  # a count or a list
    cycles: int
    backend: Backend
    device: Device
    precision: Precision
    compile: Compile
    feeding: Feeding
    class_weights: Any  # none, balanced or a number per class
    workers: Any  # auto or a count
    threads_per_cell: Any  # auto or a count
    side_by_side: Any  # auto or a count
    reuse: bool
    save_models: SaveModels


@dataclass
class ArmConfig:
    """One way to train. A setting that is None follows `train`."""

    schedule: ScheduleName
    base_lr: Any = None  # a rate or `bounds`
    max_lr: Any = None
    cycles: int | None = None
    step_size: int | None = None
    final_lr: float | None = None  # of one_cycle
    gamma: float | None = None  # of exp_range and inverse_time
    power: float | None = None  # of inverse_time
    factor: float | None = None  # of reduce_on_plateau
    patience_epochs: int | None = None
    base_momentum: float | None = None
    max_momentum: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    training_set: TrainingSet = TrainingSet.split
    optimizer: Optimizer | None = None  # instead of Config.optimizer
    seeds: Any = None  # a count or a list
    continues: str | None = None
    against: list[str] | None = None  # arms that the report compares it with; None: the baseline


# The settings of an arm that shape its schedule, besides its bounds and its length.
_EVERY_SETTING = frozenset().union(*(row.takes for row in SCHEDULES.values()))
SHAPES = tuple(
    each.name
    for each in fields(ArmConfig)
    if each.name in _EVERY_SETTING - {"base_lr", "max_lr", "cycles", "step_size"}
)


@dataclass
class Arms:
    baseline: dict[str, ArmConfig] = field(default_factory=dict)
    clr: dict[str, ArmConfig] = field(default_factory=dict)
    controls: dict[str, ArmConfig] = field(default_factory=dict)


@dataclass
class Published:
    error_percent: float
    seconds: float


@dataclass
class Reference:
    """A row of a paper's table: mean and standard deviation of the test error over its runs."""

    error_percent: float
    sd_percent: float
    runs: int


@dataclass
class Report:
    margin_percent: float
    published: dict[str, Published]
    published_source: str
    reference: dict[str, Reference]
    reference_source: str
    reference_notes: list[str]  # differences from the paper's protocol
    waterfall: dict[str, str]  # arm -> its difference from the arm before


@dataclass
class Tracking:
    required: bool


@dataclass
class Config:
    """All of params.yaml."""

    experiment: str
    data: Data
    model: Model
    optimizer: Optimizer
    range_test: RangeTest
    bounds: BoundsConfig
    train: Train
    report: Report
    tracking: Tracking
    arms: Arms
