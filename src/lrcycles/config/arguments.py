"""Checks the arguments of networks and optimizers by name and value, before Keras loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import Parameter, Signature
from itertools import pairwise
from typing import Any

from lrcycles.config import plain
from lrcycles.config.limits import NAME, Number, Text, whole
from lrcycles.config.schema import Data, Model, Optimizer
from lrcycles.config.signatures import (
    function_signature,
    initializer_names,
    optimizer_signature,
)
from lrcycles.errors import InputError
from lrcycles.schedules.limits import is_number
from lrcycles.schedules.names import OptimizerName

REFUSED_ARGUMENTS = {
    "learning_rate": "the arm's schedule sets the rate",
    "use_ema": "train.averages scores averaged weights",
    "gradient_accumulation_steps": "accumulated gradients are not supported yet",
}
OUR_MODELS = "lrcycles.models:"
LENET = "lrcycles.models:lenet"
SMALLEST_IMAGE = 13  # of smaller images, lenet pads the border
MOST_LAYERS = 100
MOST_WEIGHTS = 2**28  # 1 GiB, and two more with Adam
INITIALIZER = "kernel_initializer"
CALLED_WITH = ("input_shape", "classes")  # the arguments that every function of a model gets
# Arguments that the messages do not offer: refused ones, and those that go with them.
_NOT_OFFERED = (*REFUSED_ARGUMENTS, "ema_momentum", "ema_overwrite_frequency")
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")  # Keras takes one of them

# A rule is what the value must be in words, an example, and whether a value keeps the rule.
_Rule = tuple[str, Any, Callable[[Any], bool]]


def _rule(limits: Number | Text) -> _Rule:
    return limits.rule, limits.example, limits.allows


_SWITCH: _Rule = ("true or false", True, lambda value: isinstance(value, bool))
_TEXT: _Rule = ("a text", "random_normal", lambda value: isinstance(value, str))
_COUNT = whole(1, 16_384)
_COUNTS: _Rule = (
    f"a list of at most {MOST_LAYERS} items, each {_COUNT.rule}",
    [64],
    lambda value: (
        isinstance(value, list) and len(value) <= MOST_LAYERS and all(map(_COUNT.allows, value))
    ),
)
_POSITIVE = _rule(Number(1e-12, 1e9))
_NOT_NEGATIVE = _rule(Number(0, 1000))
_SHARE = _rule(Number(0, 1, below=True))
_ABOVE_0 = _rule(Number(0, 1, above=True, below=True))
_NUMBER = _rule(Number(-1000, 1000))
_NUMBER_OR_NULL: _Rule = (
    f"{_NOT_NEGATIVE[0]}, or null",
    0.2,
    lambda value: value is None or _NOT_NEGATIVE[2](value),
)
_TEXTS: _Rule = (
    "a list of texts",
    ["dense"],
    lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
)
_MOMENTUM: _Rule = (
    "a number with a decimal point, of at least 0 and below 1",
    0.9,
    lambda value: isinstance(value, float) and 0 <= value < 1,
)
_OF_ANNOTATION = {
    "bool": _SWITCH,
    "float": _NOT_NEGATIVE,
    "int": _rule(_COUNT),
    "Sequence[int]": _COUNTS,
    "str": _TEXT,
}
_OF_OPTIMIZER = {
    **dict.fromkeys(("beta_1", "beta_2", "rho", "momentum", "ema_momentum"), _SHARE),
    **dict.fromkeys(("adam_beta_1", "adam_beta_2"), _SHARE),
    **dict.fromkeys((*CLIPPING, "loss_scale_factor", "clip_threshold"), _POSITIVE),
    **dict.fromkeys(("epsilon", "weight_decay", "initial_accumulator_value"), _NOT_NEGATIVE),
    **dict.fromkeys(("muon_a", "muon_b", "muon_c"), _NUMBER),
    "beta_2_decay": _rule(Number(-10, 0)),
    "exclude_layers": _TEXTS,
    "ns_steps": _rule(whole(1, 100)),
    "rms_rate": _NUMBER_OR_NULL,
    "name": _rule(NAME),
}


def check_model(model: Model, data: Data) -> None:
    """Raise InputError on an argument that the network's function lacks or cannot use.

    The values of arguments are checked for the networks of this library only.

    Args:
        data: the shape of the images, and their classes.
    """
    signature = function_signature(model.function)
    if signature is None:
        return
    where = "model.arguments"
    _check_names(where, model.arguments, signature, of=model.function, without=CALLED_WITH)
    try:
        signature.bind(*CALLED_WITH, **model.arguments)
    except TypeError as error:
        raise InputError(
            f"{model.function} must accept input_shape, classes and "
            f"{where}={plain.received(model.arguments)}. Received: {error}. Correct the function "
            f"or {where}."
        ) from error
    if model.function.startswith(OUR_MODELS):
        for name, value in model.arguments.items():
            parameter = signature.parameters[name]
            _check_value(where, value, parameter, _OF_ANNOTATION.get(parameter.annotation))
        _check_initializer(f"{where}.{INITIALIZER}", model.arguments.get(INITIALIZER))
        arguments = {
            name: model.arguments.get(name, parameter.default)
            for name, parameter in signature.parameters.items()
        }
        if "units" in arguments:
            _check_size(model.function, arguments, data)


def _check_size(function: str, arguments: Mapping[str, Any], data: Data) -> None:
    """Refuse a network whose convolutions leave nothing of an image, or with too many weights."""
    height, width, *channels = data.image_shape
    if function == LENET:
        kernel = arguments["kernel_size"]
        padded = min(height, width) < SMALLEST_IMAGE
        for _ in arguments["filters"]:
            height, width = (
                math.ceil((side if padded else side - kernel + 1) / 2) for side in (height, width)
            )
        if min(height, width) < 1:
            raise InputError(
                "model.arguments.filters and model.arguments.kernel_size must leave at least one "
                f"pixel of the images. Received: {len(arguments['filters'])} convolutions with "
                f"kernel_size={kernel} for data.image_shape={data.image_shape}. Lower one of them."
            )
        channels = arguments["filters"][-1:] or channels
        arguments = {"units": [arguments["units"]]}
    widths = [math.prod([height, width, *channels]), *arguments["units"], len(data.classes)]
    weights = sum(map(math.prod, pairwise(widths)))
    if weights > MOST_WEIGHTS:
        raise InputError(
            f"model.arguments.units must give at most {MOST_WEIGHTS:,} weights. "
            f"Received: {plain.received(arguments['units'])}, which gives {weights:,}. Lower them."
        )


def _check_initializer(key: str, name: str | None) -> None:
    names = initializer_names()
    if name is None or not names or name in names:
        return
    near = get_close_matches(name, names, 1)
    remedy = f"Did you mean {key}={near[0]}?" if near else f"Set {key}=random_normal, for example."
    raise InputError(
        f"{key} must be an initializer of Keras. Received: {plain.received(name)}. {remedy}"
    )


def check_optimizer(where: str, optimizer: Optimizer) -> None:
    """Raise InputError on an argument that may not be given, or on a factor that is no factor."""
    arguments = optimizer.arguments
    for name, value in arguments.items():
        if name in REFUSED_ARGUMENTS:
            raise InputError(
                f"{where}.arguments must not have {name}: {REFUSED_ARGUMENTS[name]}. "
                f"Received: {name}={plain.received(value)}. Leave it out."
            )
    signature = optimizer_signature(optimizer.name.value)
    if signature is not None:
        of = f"optimizer {optimizer.name.value}"
        _check_names(f"{where}.arguments", arguments, signature, of=of, without=_NOT_OFFERED)
        for name, value in arguments.items():
            parameter = signature.parameters[name]
            if value is not None or parameter.default is not None:
                rule = _optimizer_rule(optimizer.name, parameter)
                _check_value(f"{where}.arguments", value, parameter, rule)
    clipping = [name for name in CLIPPING if arguments.get(name) is not None]
    if len(clipping) > 1:
        raise InputError(
            f"{where}.arguments must have only one of {', '.join(CLIPPING)}. "
            f"Received: {', '.join(clipping)}. Leave out all but one."
        )


def _optimizer_rule(name: OptimizerName, parameter: Parameter) -> _Rule | None:
    if isinstance(parameter.default, bool):
        return _SWITCH
    if parameter.name == "momentum" and name.value == "sgd":
        return _MOMENTUM  # Keras refuses 0 and takes 0.0
    if parameter.name == "beta_1" and name.value == "lion":
        return _ABOVE_0
    known = _OF_OPTIMIZER.get(parameter.name)
    return known or (_NOT_NEGATIVE if is_number(parameter.default) else None)


def _check_names(
    where: str, arguments: Mapping[str, Any], signature: Signature, *, of: str, without: Any
) -> None:
    kinds = {each.kind for each in signature.parameters.values()}
    if Parameter.VAR_KEYWORD in kinds:
        return
    takes = [
        name
        for name, each in signature.parameters.items()
        if name not in without and each.kind != Parameter.VAR_POSITIONAL
    ]
    for name, value in arguments.items():
        if name in signature.parameters:
            continue
        near = get_close_matches(str(name), takes, 1)
        remedy = (
            f"Did you mean {where}.{near[0]}?"
            if near
            else f"Leave it out; if a file of conf/ has it, write ~{where}.{name}."
        )
        known = f": {', '.join(takes)}" if takes else ", which takes none"
        raise InputError(
            f"Every key of {where} must be an argument of {of}{known}. "
            f"Received: {where}.{name}={plain.received(value)}. {remedy}"
        )


def _check_value(where: str, value: Any, parameter: Parameter, rule: _Rule | None) -> None:
    if rule is None:
        return
    words, example, keeps = rule
    if not keeps(value):
        good = parameter.default if keeps(parameter.default) else example
        key = f"{where}.{parameter.name}"
        raise InputError(
            f"{key} must be {words}. Received: {plain.received(value)}. "
            f"Set {key}={plain.typed(good)}, for example."
        )
