"""Which keys has a configuration, and of which types? YAML owns the values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

GROUPS = ("baseline", "clr", "controls")
TUNED = "tuned"  # the arm that the report makes of the constant rates that were tried
FEWEST_RATES = 3  # that it chooses from
SHAPES = ("final_lr", "gamma", "power", "factor", "patience_epochs")  # of an arm's schedule
# What stands for a rate that stage `bounds` chose: base_lr for base_lr, max_lr for max_lr; or that.
BOUNDS = ("bounds", "bounds.base_lr", "bounds.max_lr", "bounds.geometric_mean")
# Where images come from, by name; anything else is a "module:function".
SOURCES = ("auto", "keras", "npm", "local", "sklearn")


class ScheduleName(StrEnum):
    constant = "constant"
    triangular = "triangular"
    triangular2 = "triangular2"
    exp_range = "exp_range"
    exp_range_bounds = "exp_range_bounds"
    welch = "welch"
    hann = "hann"
    linear_decay = "linear_decay"
    cosine = "cosine"
    sgdr = "sgdr"
    one_cycle = "one_cycle"
    inverse_time = "inverse_time"
    reduce_on_plateau = "reduce_on_plateau"


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
    # Pattern of a layer's name -> what its rate is multiplied by.
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
    """One way to train; what is None follows `train`."""

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
    optimizer: Optimizer | None = None  # another one than the rest
    seeds: Any = None  # a count or a list
    continues: str | None = None
    against: list[str] | None = None  # whom the report compares it with; None: the baseline


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
    reference_notes: list[str]  # what differs from the paper's protocol
    waterfall: dict[str, str]  # arm -> what it has that the one before has not


@dataclass
class Config:
    """The whole of params.yaml."""

    experiment: str
    data: Data
    model: Model
    optimizer: Optimizer
    range_test: RangeTest
    bounds: BoundsConfig
    train: Train
    report: Report
    arms: Arms
