"""The command `lrcycles advise`: advises a schedule for a model and data of one's own."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from lrcycles.errors import InputError, defined_at, reason

EXAMPLES = """\
examples:
  lrcycles advise my_project.net:build --data my_project.data:load --epochs 20
  lrcycles advise net:build --data data:load --total-steps 5000 --budget 0.75
  lrcycles advise                     in a checkout of lrcycles: the configured model and data
  lrcycles advise train.epochs=20     the same with overrides

MODEL returns a Keras model. It takes no arguments, or the shape of an example and
the number of classes. --data names a function without arguments that returns (x, y),
or a dataset that yields batches. Of (x, y, x_test, y_test) the test set is left alone."""


def add_advise(commands: Any) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "advise",
        help="find schedule, peak rate and warm-up for a model by short trainings",
        description="Find the schedule, peak rate and warm-up for the training of a Keras model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="*", metavar="MODEL", help="module:function")
    for name, kind, metavar, text in (
        ("data", str, "DATA", "module:function"),
        ("epochs", int, "N", "the length of the training"),
        ("total-steps", int, "N", "the same in mini-batches, instead of --epochs"),
        ("budget", float, "B", "what may be spent, in trainings (default: 1.5)"),
        ("schedule", str, "NAME", "auto (default), linear_decay, cosine, one_cycle, ..."),
        ("batch-size", int, "N", "the mini-batch size for arrays (default: 32)"),
        ("steps-per-epoch", int, "N", "for data that do not know their length"),
        ("optimizer", str, "NAME", "of Keras; in place of the compiled one"),
        ("loss", str, "NAME", "of Keras; for a model that is not compiled"),
        ("output", Path, "FOLDER", "of advice.json and advice.png (default: outputs/advise)"),
    ):
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    """Advise a schedule, print the answer, and write advice.json and advice.png.

    Raises:
        InputError: a function is missing or fails, or an argument breaks a rule.
    """
    if all("=" in word for word in chosen.model):
        _run_stage(chosen.model)
    if len(chosen.model) > 1 or chosen.data is None:
        raise InputError(
            "MODEL must be one module:function and come with --data. "
            f"Received: {' '.join(chosen.model)}, --data {chosen.data}. Write for example "
            "lrcycles advise net:build --data data:load --epochs 20."
        )
    folder = chosen.output or Path("outputs") / "advise"
    _need_folder(folder)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    names = ("budget", "schedule", "batch_size", "steps_per_epoch", "optimizer", "loss")
    given = {name: value for name in names if (value := getattr(chosen, name)) is not None}
    try:
        x, y = _data(chosen.data)
        model, x = _model(chosen.model[0], x, y, given)
        from lrcycles.advising.of_model import advise  # lazily: it imports Keras

        advice = advise(model, x, y, epochs=chosen.epochs, total_steps=chosen.total_steps, **given)
    except KeyboardInterrupt:
        print("lrcycles: interrupted. Nothing was written.", file=sys.stderr)
        sys.exit(130)
    print(advice)
    advice.write(folder)
    print(f"\nThe figure is {folder / 'advice.png'}, all numbers are in {folder / 'advice.json'}.")


def _run_stage(overrides: list[str]) -> None:
    """Advise for the configured model and data of the checkout in the current folder."""
    if not (Path("conf/config.yaml").exists() and Path("pipelines/advise.py").exists()):
        raise InputError(
            "MODEL must be given outside of a checkout of lrcycles. Received: none. Write for "
            "example lrcycles advise net:build --data data:load --epochs 20."
        )
    done = subprocess.run([sys.executable, "-m", "pipelines.advise", *overrides])
    sys.exit(done.returncode)


def _data(name: str) -> tuple[Any, Any]:
    """Return x and y, where y is None if x yields both."""
    found = _call(_function(name, "--data"), name, "--data")
    if not isinstance(found, tuple | list):
        return found, None
    parts = list(found)
    if all(isinstance(part, tuple) and len(part) == 2 for part in parts):
        parts = list(parts[0])  # (x, y) of (x, y), (x_test, y_test), as keras.datasets gives them
    if len(parts) in (2, 4):
        return parts[0], parts[1]
    raise InputError(
        f"--data {name} must return (x, y), (x, y, x_test, y_test) or a dataset. "
        f"Received: {type(found).__name__} of {len(parts)}. Return two arrays."
    )


def _model(name: str, x: Any, y: Any, given: dict[str, Any]) -> tuple[Any, Any]:
    """Return the model, and x as the model takes it.

    A function with two arguments is one of the pipeline: its network takes pixels from 0 to 1 and
    returns probabilities. It gets the pipeline's default optimizer and loss.

    Args:
        given: gets the optimizer and loss.
    """
    build = _function(name, "MODEL")
    if _takes(build) or y is None or not hasattr(x, "shape"):
        return _call(build, name, "MODEL"), x
    import numpy as np  # lazily: the command line shows its help without it

    if x.dtype == np.uint8:
        x = x.astype(np.float32) / 255
    model = _call(build, name, "MODEL", tuple(x.shape[1:]), len(np.unique(np.asarray(y))))
    if not getattr(model, "compiled", False):
        defaults = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}
        given |= {key: value for key, value in defaults.items() if key not in given}
    return model, x


def _function(name: str, what: str) -> Callable[..., Any]:
    """Import the user's module:function.

    Raises:
        InputError: there is none.
    """
    module, _, attribute = name.partition(":")
    if not all(word.isidentifier() for word in (*module.split("."), attribute)):
        raise InputError(
            f"{what} must have the form module:function. Received: {name!r}. Write for example "
            "net:build."
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        raise InputError(
            f"{what} must name a function that can be imported from the current folder. "
            f"Received: {name}, with {reason(error)}. Correct the name or the file."
        ) from error
    if not callable(function):
        raise InputError(
            f"{what} must name a function. Received: {name}, an object of type "
            f"{type(function).__name__}. Name a function."
        )
    return cast("Callable[..., Any]", function)


def _takes(function: Callable[..., Any], *values: Any) -> bool:
    try:
        inspect.signature(function).bind(*values)
    except (TypeError, ValueError):
        return False
    return True


def _call(function: Callable[..., Any], name: str, what: str, *values: Any) -> Any:
    """Call the user's function.

    Raises:
        InputError: it takes other arguments, or fails.
    """
    if not _takes(function, *values):
        wanted = "the shape of an example and the number of classes" if values else "no arguments"
        raise InputError(
            f"{what} must take {wanted}. Received: {name}{inspect.signature(function)} "
            f"({defined_at(function)}). Give its arguments defaults."
        )
    try:
        return function(*values)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise InputError(
            f"{what} {name} must run. Received: {reason(error)}. Correct the function."
        ) from error


def _need_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is trained."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        accessible = os.access(folder, os.W_OK)
        problem = "permission denied"
    except OSError as error:
        accessible, problem = False, error.strerror or str(error)
    if not accessible:
        raise InputError(
            f"--output must be a folder that can be written. Received: {folder} ({problem}). Name "
            "another folder."
        )
