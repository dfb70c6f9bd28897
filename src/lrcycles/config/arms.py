"""Checks that arms of the right types also make sense, alone and together."""

from __future__ import annotations

from lrcycles.config import plain
from lrcycles.config.arguments import check_optimizer
from lrcycles.config.limits import RESERVED, may_name_an_arm, need_rates, need_updates
from lrcycles.config.resolve import (
    advised_arm,
    all_arms,
    arm_averages,
    arm_length,
    arm_schedule,
    arm_seeds,
    arm_steps,
    arm_trainings,
    asks_for_advice,
    asks_for_bounds,
    asks_for_peak,
    seed_list,
    tuning_seeds,
)
from lrcycles.config.schema import ADVICE, BOUNDS, PEAKS, SHAPES, ArmConfig, Config, TrainingSet
from lrcycles.errors import InputError
from lrcycles.schedules.limits import is_number
from lrcycles.schedules.optimizers import OPTIMIZERS
from lrcycles.schedules.table import SCHEDULES, rate_table

WITHOUT_MOMENTUM = {name.lower() for name, momentum in OPTIMIZERS.items() if not momentum}
MOST_STEPS = 10_000_000  # of one training
_ONE_OF = (
    ("cycles", "step_size"),
    ("warmup_steps", "warmup_percent"),
    ("decay_steps", "decay_percent"),
)
_WORDS = (*BOUNDS, *PEAKS, ADVICE)
# These stand for what later stages answer.
_ANY_BOUNDS = {"base_lr": 1e-3, "max_lr": 1e-2}
_ANY_ADVICE = {"peak_lr": 1e-2, "warmup_percent": 10.0}


def check_arms(config: Config) -> None:
    """Raise InputError on the first arm that makes no sense, alone or with the other arms."""
    if not config.arms.baseline:
        raise InputError(
            "arms.baseline must have at least one arm: the report compares the others with it. "
            "Received: none. Add `/arm@arms.baseline.baseline: baseline` to the experiment."
        )
    groups: dict[str, str] = {}
    for group, name, arm in all_arms(config):
        if name in groups:
            raise InputError(
                f"Arm names must be unique. Received: {name!r} in both arms.{groups[name]} and "
                f"arms.{group}. Rename one of them."
            )
        groups[name] = group
        if not may_name_an_arm(name):
            raise InputError(
                f"Every key of arms.{group} must have only letters, digits and _, at most 60, "
                f"start with a letter, and be none of {', '.join(sorted(RESERVED))}. "
                f"Received: {plain.received(name)}. Rename the arm."
            )
        _check_arm(config, f"arms.{group}.{name}", group, arm)
        _check_schedule(config, f"arms.{group}.{name}", group, arm)
        _check_momentum(config, f"arms.{group}.{name}", arm)
        _check_averages(config, f"arms.{group}.{name}", arm)
        if arm.optimizer is not None:
            check_optimizer(f"arms.{group}.{name}.optimizer", arm.optimizer)
    for group, name, _ in all_arms(config):
        _check_chain(config, name, group)
    updates = sum(
        arm_steps(config, arm) * arm_trainings(config, arm) for *_, arm in all_arms(config)
    )
    received = f"all arms with train.seeds={plain.received(config.train.seeds)}"
    if any(asks_for_peak(arm) for *_, arm in all_arms(config)):
        received += f", train.tuning_seeds={plain.received(config.train.tuning_seeds)}"
    need_updates("train.epochs", updates, received)


def _check_arm(config: Config, where: str, group: str, arm: ArmConfig) -> None:
    _, batch_size, images = arm_length(config, arm)
    if arm.seeds is not None:
        seed_list(arm.seeds, f"{where}.seeds")
    if batch_size > images:
        key = "train.batch_size" if arm.batch_size is None else f"{where}.batch_size"
        raise InputError(
            f"{key} must be at most the {images} training images of {where}. "
            f"Received: {batch_size}. Lower {key}."
        )
    steps = arm_steps(config, arm)
    need_updates(where, steps, _length(config, where, arm), most=MOST_STEPS)
    if arm.training_set == TrainingSet.all and group != "controls":
        raise InputError(
            "Only an arm of group controls may have training_set: all, which leaves only the test "
            f"set to validate on. Received: {where}.training_set=all. Remove the setting, or move "
            "the arm to controls."
        )


def _length(config: Config, where: str, arm: ArmConfig) -> str:
    """Write what decides the length of an arm, with the keys that set it."""
    epochs, batch_size, images = arm_length(config, arm)
    of_epochs = "train.epochs" if arm.epochs is None else f"{where}.epochs"
    of_batch = "train.batch_size" if arm.batch_size is None else f"{where}.batch_size"
    return f"{of_epochs}={epochs}, {of_batch}={batch_size} and {images} images"


def _check_schedule(config: Config, where: str, group: str, arm: ArmConfig) -> None:
    if asks_for_bounds(arm) and group == "baseline":
        raise InputError(
            "An arm of group baseline must not ask for bounds: the group trains before stage "
            f"`bounds`. Received: {where} with bounds. Move the arm to clr or controls."
        )
    if asks_for_peak(arm):
        _check_peak(config, where, arm)
    if asks_for_advice(arm):
        _check_advice(config, where, arm)
    name = arm.schedule.value
    row = SCHEDULES[name]
    settings = ("max_lr", "step_size", "cycles", "decay_percent", *SHAPES)
    given = [key for key in settings if getattr(arm, key) is not None]
    if extra := [key for key in given if key.replace("percent", "steps") not in row.takes]:
        received = ", ".join(f"{key}={getattr(arm, key)}" for key in extra)
        raise InputError(
            f"{where}: schedule {name} takes no {', '.join(extra)}. Received: {received}. "
            "Leave that out."
        )
    one_rate = "max_lr" not in row.takes
    rates = {} if row.base_lr_may_be_0 and arm.base_lr == 0 else {"base_lr": arm.base_lr}
    need_rates(where, rates if one_rate else rates | {"max_lr": arm.max_lr}, words=_WORDS)
    for either, other in _ONE_OF:
        if getattr(arm, either) is not None and getattr(arm, other) is not None:
            raise InputError(
                f"{where} must have {either} or {other}, not both. Received: "
                f"{either}={getattr(arm, either)}, {other}={getattr(arm, other)}. Leave one out."
            )
    # The smallest peak is the nearest to the other rates, which must lie below it.
    peak = next(iter(config.train.peaks), None)
    schedule = arm_schedule(config, advised_arm(arm, _ANY_ADVICE), _ANY_BOUNDS, peak)
    try:
        rate_table(total_steps=arm_steps(config, arm), **schedule)
    except InputError as error:
        length = _length(config, where, arm)
        for key in ("decay_percent", "warmup_percent"):
            if getattr(arm, key) is not None:
                length = f"{key}={getattr(arm, key)}, {length}"
        if asks_for_peak(arm):
            length = f"the first of train.peaks={plain.received(config.train.peaks)}, {length}"
        if row.repeats and arm.step_size is None and arm.cycles is None:
            length = f"train.cycles={config.train.cycles}, {length}"
        raise InputError(f"{where}, with {length}: {error}") from error


def _check_peak(config: Config, where: str, arm: ArmConfig) -> None:
    name = arm.schedule.value
    one_rate = "max_lr" not in SCHEDULES[name].takes
    right = arm.base_lr == "peak"
    if not one_rate:
        right = arm.max_lr == "peak" and (arm.base_lr == "peak.base_lr" or is_number(arm.base_lr))
    if not right:
        rates = (
            "base_lr: peak" if one_rate else "max_lr: peak, and base_lr: peak.base_lr or a number"
        )
        raise InputError(
            f"{where}, with schedule {name} and the word `peak`, must have {rates}. Received: "
            f"base_lr={plain.received(arm.base_lr)}, max_lr={plain.received(arm.max_lr)}. "
            "Change the rates."
        )
    if arm.training_set == TrainingSet.all:
        raise InputError(
            f"{where} must train on the split, because a peak is chosen on the validation images. "
            "Received: training_set=all. Leave that out, or give a rate instead of `peak`."
        )
    if not config.train.peaks:
        raise InputError(
            "train.peaks must hold at least one rate, because an arm asks for `peak`. "
            f"Received: [] and {where}. Set train.peaks=[0.001,0.002,0.004], for example."
        )
    _check_tuning_seeds(config, where, arm, "peak")


def _check_tuning_seeds(config: Config, where: str, arm: ArmConfig, word: str) -> None:
    if shared := sorted(set(tuning_seeds(config)) & set(arm_seeds(config, arm))):
        raise InputError(
            f"train.tuning_seeds must share no seed with an arm that asks for `{word}`: a peak is "
            f"chosen with other seeds than it is judged with. Received: {plain.received(shared)} "
            f"in both train.tuning_seeds and {where}. Change train.tuning_seeds."
        )


def _check_advice(config: Config, where: str, arm: ArmConfig) -> None:
    """Refuse an arm that trains otherwise than what stage `advise` gives its answer for."""
    wanted = {"schedule": "linear_decay", "base_lr": 0, "max_lr": ADVICE, "training_set": "split"}
    wanted |= dict.fromkeys(("epochs", "batch_size", "optimizer", "continues"))
    own = {key: plain.plain(getattr(arm, key)) for key in wanted}
    if wrong := [key for key in wanted if own[key] != wanted[key]]:
        raise InputError(
            f"{where}, with the word `advice`, must have schedule: linear_decay, base_lr: 0 and "
            "max_lr: advice, train on the split from new weights, and have no epochs, batch_size "
            "or optimizer of its own: the advice is for such a training. Received: "
            f"{wrong[0]}={plain.received(own[wrong[0]])}. Change it, or give numbers instead of "
            "`advice`."
        )
    _check_tuning_seeds(config, where, arm, ADVICE)


def _check_momentum(config: Config, where: str, arm: ArmConfig) -> None:
    low, high = arm.base_momentum, arm.max_momentum
    if low is None and high is None:
        return
    if low is None or high is None or low >= high:
        raise InputError(
            f"{where}.base_momentum must be below {where}.max_momentum. "
            f"Received: base_momentum={low}, max_momentum={high}. Give both or neither."
        )
    if not SCHEDULES[arm.schedule.value].momentum_may_cycle:
        raise InputError(
            f"{where}.base_momentum: momentum can cycle only against a rate that rises and falls "
            f"between fixed bounds. Received: schedule {arm.schedule.value}. Use triangular, or "
            "leave out base_momentum and max_momentum."
        )
    optimizer = arm.optimizer or config.optimizer
    if optimizer.name.value in WITHOUT_MOMENTUM:
        raise InputError(
            f"{where}.base_momentum: momentum can cycle only in an optimizer that has momentum. "
            f"Received: {optimizer.name.value}. Use sgd or adam, or leave out base_momentum and "
            "max_momentum."
        )


def _check_averages(config: Config, where: str, arm: ArmConfig) -> None:
    averages, (epochs, _, _) = arm_averages(config, arm), arm_length(config, arm)
    named = config.train.averages if arm.averages is None else arm.averages
    if len(averages) < len(named):
        key = "train.averages" if arm.averages is None else f"{where}.averages"
        raise InputError(
            f"{key} must name each average once. Received: {plain.received(named)}. "
            f"Set {key}={plain.typed(list(averages))}."
        )
    for average, setting in (("ema", "ema_decay"), ("last", "last_checkpoints")):
        value = getattr(arm, setting)
        if value is not None and average not in averages:
            raise InputError(
                f"{where}.{setting} must belong to an average of the arm. Received: "
                f"{setting}={value} with averages={plain.received(list(averages))}. "
                f"Add {average} to {where}.averages, or leave {setting} out."
            )
    checkpoints = averages.get("last", {}).get("checkpoints", 1)
    if checkpoints > epochs:
        key = "train.last_checkpoints"
        if arm.last_checkpoints is not None:
            key = f"{where}.last_checkpoints"
        raise InputError(
            f"{key} must be at most the epochs of {where}, because a checkpoint is taken at the "
            f"end of an epoch. Received: {checkpoints} for {epochs}. Set {key}={epochs} or less."
        )


def _check_chain(config: Config, name: str, group: str) -> None:
    arms: dict[str, ArmConfig] = getattr(config.arms, group)
    seen = [name]
    while (parent := arms[seen[-1]].continues) is not None:
        if parent not in arms:
            others = [other for other in arms if other not in seen]
            remedy = f"or name one of {', '.join(others)}" if others else "or remove `continues`"
            raise InputError(
                f"arms.{group}.{seen[-1]}.continues must name an arm of group {group}. "
                f"Received: {parent!r}. Add that arm to the group, {remedy}."
            )
        if parent in seen:
            circle = " -> ".join([*seen, parent])
            raise InputError(
                f"The arms of arms.{group} must not continue one another in a circle. "
                f"Received: {circle}. Remove one `continues`."
            )
        if missing := set(arm_seeds(config, arms[seen[-1]])) - set(arm_seeds(config, arms[parent])):
            raise InputError(
                f"An arm must have the seeds of the arm that continues it. Received: "
                f"arms.{group}.{parent} without seeds {', '.join(map(str, sorted(missing)))} of "
                f"{seen[-1]}. Give {parent} those seeds too."
            )
        if asks_for_peak(arms[seen[-1]]) or asks_for_peak(arms[parent]):
            raise InputError(
                "An arm that asks for `peak` must neither continue an arm nor be continued. "
                f"Received: arms.{group}.{seen[-1]}.continues={parent}. Remove `continues`, or "
                "give a rate instead of `peak`."
            )
        seen.append(parent)
