"""Defines the keys of a configuration, their types and limits. Their values are in conf/."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any

from lrcycles.config.limits import LABEL, NAME, Number, whole
from lrcycles.schedules.names import AdvisedSchedule, OptimizerName, Shape
from lrcycles.schedules.names import ScheduleName as ScheduleName
from lrcycles.schedules.table import SCHEDULES

GROUPS = ("baseline", "clr", "controls")
# A verdict may be asked for at these numbers of seeds, one after the other, without exceeding 5 %.
LOOKS = (8, 16, 32, 64, 128)
MOST_PRIMARY = 4  # pairs that share 5 %: more would need far more seeds
# Words for a rate that stage `bounds` chose. `bounds` is its base_lr for base_lr, its max_lr for
# max_lr.
BOUNDS = ("bounds", "bounds.base_lr", "bounds.max_lr", "bounds.geometric_mean", "bounds.mean")
# `peak` is the rate of train.peaks that is best on the validation images, `peak.base_lr` a fortieth
# of it.
PEAKS = ("peak", "peak.base_lr")
ADVICE = "advice"  # the peak rate, or the share of the warm-up, that stage `advise` answered
# Sources of images. Any other source is a "module:function".
SOURCES = ("auto", "keras", "npm", "local", "sklearn")
RULES = (
    "scaled calibrated smith thirds valley slide steep minimum lightning torch_lr_finder ignite "
    "ktrain ktrain_minimum ktrain_valley"
)

# The largest numbers are far above what anybody trains, and small enough to be computed with.
Images = Annotated[int, whole(1, 100_000_000)]
Epochs = Annotated[int, whole(1, 100_000)]
BatchSize = Annotated[int, whole(1, 1_000_000)]
Cycles = Annotated[int, whole(1, 100_000)]
Rate = Annotated[float, Number(1e-12, 1e6)]
RateOrWord = Annotated[Any, Number(0, 1e6, (*BOUNDS, *PEAKS))]
PeakOrWord = Annotated[Any, Number(0, 1e6, (*BOUNDS, *PEAKS, ADVICE))]
ShareOrWord = Annotated[Any, Number(0, 100, (ADVICE,), below=True)]
Share = Annotated[float, Number(0, 1, above=True)]
Momentum = Annotated[float, Number(0, 1, above=True, below=True)]
Decay = Annotated[float, Number(0.5, 1, below=True)]
Percent = Annotated[float, Number(0, 100)]
AutoOrCount = Annotated[Any, whole(1, 1024, "auto")]
Factor = Annotated[Any, Number(0, 1e6)]
Name = Annotated[str, NAME]
Label = Annotated[str, LABEL]


class Ramp(StrEnum):
    linear = "linear"
    exponential = "exponential"


class RuleName(StrEnum):
    """The rules of `bounds.select`, which this package does not import."""

    _ignore_ = "_name _members"
    _members = vars()
    for _name in RULES.split():
        _members[_name] = _name


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
    tf32 = "tf32"  # float32 whose products a GPU rounds to ten bits
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


class Average(StrEnum):
    ema = "ema"  # exponential moving average of the weights after each step
    last = "last"  # mean of the weights at the ends of the last epochs


class SaveModels(StrEnum):
    all = "all"
    first_seed = "first_seed"
    none = "none"


@dataclass
class Data:
    name: Name
    source: str  # one of SOURCES or "module:function"
    path: str | None
    sha256: dict[str, str] | None
    classes: list[Label]
    image_shape: list[Annotated[int, whole(1, 4096)]]
    train_images: Images
    validation_images: Images
    test_images: Images
    split_seed: Annotated[int, whole(0, 2**32 - 1)]


@dataclass
class Model:
    name: Name
    function: str  # "module:function"
    arguments: dict[str, Any]


@dataclass
class Optimizer:
    name: OptimizerName
    arguments: dict[str, Any] = field(default_factory=dict)
    # Pattern of a layer's name -> factor of its rate.
    layer_rates: dict[str, Factor] = field(default_factory=dict)


@dataclass
class RangeTest:
    ramp: Ramp
    min_lr: Rate
    max_lr: Rate
    steps: Annotated[int, whole(2, 100_000)]  # a ramp has two ends
    seeds: Any  # a count or a list
    evaluate_every_steps: Annotated[int, whole(1, 100_000)]
    heldout_images: Images
    stop_factor: Annotated[float, Number(1, 1e6, above=True)]
    widen: Annotated[int, whole(0, 10)]  # 0: the range is never widened


@dataclass
class BoundsConfig:
    rule: RuleName


@dataclass
class Train:
    epochs: Epochs
    batch_size: BatchSize
    seeds: Any  # a count or a list
    cycles: Cycles
    peaks: list[Rate]  # that arms with the word `peak` try
    tuning_seeds: Any  # a count or a list: seeds of the trainings that choose a peak
    backend: Backend
    device: Device
    precision: Precision
    compile: Compile
    feeding: Feeding
    class_weights: Any  # none, balanced or a number per class
    averages: list[Average]  # of the weights, that are scored beside the trained weights
    ema_decay: Decay
    last_checkpoints: Epochs
    workers: AutoOrCount
    threads_per_cell: AutoOrCount
    side_by_side: AutoOrCount
    reuse: bool
    save_models: SaveModels
    checkpoint_every_seconds: Annotated[float, Number(0, 86_400, above=True)]


@dataclass
class ArmConfig:
    """One way to train. A setting that is None follows `train`."""

    schedule: ScheduleName
    base_lr: RateOrWord | None = None
    max_lr: PeakOrWord | None = None
    cycles: Cycles | None = None
    step_size: Annotated[int, whole(1, 100_000_000)] | None = None
    warmup_steps: Annotated[int, whole(0, 100_000_000)] | None = None
    warmup_percent: ShareOrWord | None = None  # of the training
    decay_steps: Annotated[int, whole(1, 100_000_000)] | None = None  # of warmup_stable_decay
    decay_percent: Annotated[float, Number(0, 100, above=True)] | None = None  # of the training
    shape: Shape | None = None  # of one_cycle and warmup_stable_decay
    final_lr: Annotated[float, Number(0, 1e6)] | None = None  # of one_cycle
    gamma: Share | None = None  # of exp_range and inverse_time
    power: Annotated[float, Number(0, 100, above=True)] | None = None  # of inverse_time
    factor: Share | None = None  # of reduce_on_plateau
    patience_epochs: Epochs | None = None
    base_momentum: Momentum | None = None
    max_momentum: Momentum | None = None
    epochs: Epochs | None = None
    batch_size: BatchSize | None = None
    training_set: TrainingSet = TrainingSet.split
    averages: list[Average] | None = None
    ema_decay: Decay | None = None
    last_checkpoints: Epochs | None = None
    optimizer: Optimizer | None = None  # instead of Config.optimizer
    seeds: Any = None  # a count or a list
    continues: str | None = None
    against: list[str] | None = None  # arms that the report compares it with; None: it chooses


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
    error_percent: Percent
    seconds: Annotated[float, Number(0, 1e9, above=True)]


@dataclass
class Reference:
    """A row of a paper's table: mean and standard deviation of the test error over its runs."""

    error_percent: Percent
    sd_percent: Percent
    runs: Annotated[int, whole(1, 1_000_000)]


@dataclass
class Report:
    margin_percent: Annotated[float, Number(0, 100, above=True, below=True)]
    target_percent: Percent | None  # test error that the end of a training should reach
    primary: dict[str, list[str]]  # arm -> the arms against which it is judged first
    factors: dict[str, list[Label]]  # arm -> the changes that it has, of a factorial
    published: dict[str, Published]
    published_source: str
    reference: dict[str, Reference]
    reference_source: str
    reference_notes: list[str]  # differences from the paper's protocol


@dataclass
class Advise:
    budget: Annotated[float, Number(0, 1000, above=True)]  # trainings
    schedule: AdvisedSchedule


@dataclass
class Tracking:
    required: bool


@dataclass
class Config:
    """All of params.yaml."""

    experiment: Name
    data: Data
    model: Model
    optimizer: Optimizer
    range_test: RangeTest
    bounds: BoundsConfig
    train: Train
    report: Report
    advise: Advise
    tracking: Tracking
    arms: Arms
