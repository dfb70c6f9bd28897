"""The command `lrcycles`: advises, suggests bounds, draws range tests, compares, fills MLflow."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lrcycles import __version__
from lrcycles.advising.command import add_advise
from lrcycles.errors import InputError, printable

if TYPE_CHECKING:
    from lrcycles.bounds.suggestions import Suggestions


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; return 0 on success, and 1 after one line about a user's mistake."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if hasattr(chosen, "file") and chosen.epochs and not chosen.steps_per_epoch:
        parser.error(
            "--epochs must come with --steps-per-epoch N. Received: only --epochs. Add it."
        )
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except InputError as error:
        print(f"lrcycles: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader closed the pipe, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Name a mistake in one line; `--help` has the usage."""
        self.exit(
            2, f"{self.prog}: {message.rstrip('.')}. `{self.prog} --help` lists the options.\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lrcycles",
        description="Find learning rates and bounds for cycles, and compare trained runs.",
        epilog="example:\n  lrcycles suggest metrics.csv\n\n"
        "`lrcycles COMMAND --help` lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lrcycles {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_advise(commands)
    _add_suggest(commands)
    _add_plot(commands)
    _add_compare(commands)
    commands.add_parser(
        "sync",
        help="copy results from files to the MLflow store that lacks them",
        description="Give the results in this folder their runs in the MLflow store of "
        "MLFLOW_TRACKING_URI. Example: MLFLOW_TRACKING_URI=http://localhost:5000 lrcycles sync",
    ).set_defaults(run=sync)
    return parser


_FILE_TEXT = """\
FILE is CSV, JSON or parquet (also .gz) with learning rates and training
losses, as fastai, Lightning, torch-lr-finder, ignite, ktrain, Keras, flair,
transformers, Weights & Biases or lrcycles write it. `-` is standard input."""


def _add_suggest(commands: Any) -> None:
    parser = commands.add_parser(
        "suggest",
        help="choose bounds from a range test, next to the rates of other tools' rules",
        description="Print the bounds for a cyclical learning rate, and the rates that the rules\n"
        f"of other tools suggest.\n\n{_FILE_TEXT}",
        epilog="examples:\n"
        "  lrcycles suggest metrics.csv\n"
        "  lrcycles suggest history.json --steps-per-epoch 300 --epochs 20\n"
        "  lrcycles suggest history.json --smoothed-by torch-lr-finder\n"
        "  zcat history.csv.gz | lrcycles suggest -",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_range_test_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.set_defaults(run=suggest)


def _add_plot(commands: Any) -> None:
    parser = commands.add_parser(
        "plot",
        help="draw a range test with the bounds and the rate of every rule as a PNG",
        description=f"Draw losses, bounds and the rate that each rule suggests.\n\n{_FILE_TEXT}",
        epilog="example:\n  lrcycles plot metrics.csv -o range_test.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_range_test_arguments(parser)
    text = "the PNG to write (default: FILE's name with .png, in the current folder)"
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.png", help=text)
    parser.set_defaults(run=plot)


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare", help="report on two DVC experiments or MLflow runs, paired by seed"
    )
    parser.description = (
        "Compare A and B. Each is a DVC experiment, a git revision, an MLflow run, a folder with "
        "train/, or `workspace`. NAME:ARM selects one arm. A negative difference means that B is "
        "better."
    )
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")
    text = "the folder of the report (default: outputs/compare/A_B)"
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help=text)
    parser.add_argument(
        "--margin",
        type=float,
        default=0.05,
        metavar="P",
        help="differences below P percentage points do not matter (default: 0.05)",
    )
    parser.set_defaults(run=compare)


def _add_range_test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the range test; `-` reads a pipe")
    reading = parser.add_argument_group("how to read FILE (default: by its names)")
    for group, name, kind, metavar, text in (
        (parser, "rule", str, "RULE", "calibrated (default), smith, thirds, valley, ..."),
        (parser, "cycles", _count, "N", "cycles in the training (default: 3)"),
        (parser, "steps-per-epoch", _count, "N", "mini-batches in an epoch"),
        (parser, "epochs", _count, "N", "epochs of the training"),
        (parser, "momentum", float, "M", "of SGD or RMSprop, for rule calibrated (default: "
         "from FILE, or 0)"),
        (reading, "lr-column", str, "NAME", "the column of the learning rates"),
        (reading, "loss-column", str, "NAME", "the column of the training losses"),
        (reading, "rates", Path, "FILE2", "a file with the rates, where FILE has only losses "
         "(TensorBoard)"),
        (reading, "smoothed-by", str, "TOOL", "the tool whose moving average is undone: fastai, "
         "ktrain, lightning, torch-lr-finder, ignite or flair; or nobody (the losses are raw)"),
        (reading, "smoothing", float, "SHARE", "weight of the previous average, with "
         "--smoothed-by (default: 0.98 or 0.95, the tool's; it is 1 - smooth_f of "
         "torch-lr-finder and ignite)"),
        (reading, "running-mean-of", _count, "STEPS", "undo the mean loss of the epoch so far, "
         "as Keras reports it, for epochs of STEPS mini-batches"),
    ):  # fmt: skip
        group.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    parser.set_defaults(cycles=3)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least 1. Received: {text}. Set 1 or more."
        )
    return int(text)


def suggest(chosen: argparse.Namespace) -> None:
    """Print the rate of every rule for the range test in a file, and the selected bounds.

    Raises:
        InputError: the file holds no range test.
    """
    from lrcycles.bounds.suggestions import as_text

    suggestions = _suggestions(chosen)
    if chosen.json:
        print(json.dumps({"file": str(chosen.file), **suggestions.to_dict()}, indent=2))
    else:
        print(printable(as_text(suggestions)))


def plot(chosen: argparse.Namespace) -> None:
    """Draw the range test in a file with the rate of every rule, and print the picture's name.

    Raises:
        InputError: the file holds no range test, or the picture would replace another file.
    """
    name = "stdin" if str(chosen.file) == "-" else chosen.file.name.removesuffix(".gz")
    out = chosen.output or Path(f"{Path(name).stem}.png")
    if out.suffix.lower() != ".png":
        raise InputError(
            f"The picture's name must end in .png. Received: {out}. Name another file with -o."
        )
    suggestions = _suggestions(chosen).thinned()
    from lrcycles.bounds.plots import suggestions_on_curve
    from lrcycles.files import write_figure

    try:
        if out.exists() and not (out.is_file() and _is_png(out)):
            raise InputError(
                f"The picture must not replace anything but a PNG. Received: {out}, which exists "
                "and is not a PNG. Name another file with -o."
            )
        write_figure(out, suggestions_on_curve(suggestions))
    except OSError as error:
        raise InputError(
            f"The picture must be in a folder that can be written. Received: {out} "
            f"({error.strerror}). Name another file with -o."
        ) from error
    notes = [f"note: {note}" for note in suggestions.history.curves.notes]
    print(printable("\n".join([f"{suggestions.history}: drawn in {out}.", *notes])))


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89PNG\r\n\x1a\n"


def _suggestions(chosen: argparse.Namespace) -> Suggestions:
    from lrcycles.bounds.suggestions import collect_suggestions
    from lrcycles.range_tests.recorded.histories import read_history

    history = read_history(
        chosen.file,
        smoothed_by=chosen.smoothed_by,
        smoothing=chosen.smoothing,
        running_mean_of=chosen.running_mean_of,
        steps_per_epoch=chosen.steps_per_epoch,
        momentum=chosen.momentum,
        lr_column=chosen.lr_column,
        loss_column=chosen.loss_column,
        rates=chosen.rates,
    )
    return collect_suggestions(
        history, rule=chosen.rule, cycles=chosen.cycles, epochs=chosen.epochs
    )


def compare(chosen: argparse.Namespace) -> None:
    """Compare two experiments or runs: print the answer and write the report.

    Raises:
        InputError: one of them is unknown, or no arms go together.
    """
    import hashlib
    import re
    from datetime import UTC, datetime

    from lrcycles.evidence.two_sides import compare_two
    from lrcycles.report.answers import headlines, lines
    from lrcycles.report.build import Head, write_report
    from lrcycles.report.sections import cautions

    first, second = chosen.first, chosen.second
    if "$" in first + second:
        raise InputError(
            "A and B must not contain $, which figures read as mathematics. "
            f"Received: {first} and {second}. Rename the folder."
        )
    named = re.sub(r"[^\w.-]+", "-", f"{first}_{second}")
    if len(named.encode()) > 200:  # of the 255 that a file system takes
        named = hashlib.sha256(named.encode()).hexdigest()
    out = chosen.output or Path("outputs") / "compare" / named
    if out.exists() and not out.is_dir():
        raise InputError(
            f"The report needs a folder. Received: {out}, which is a file. Name another with -o."
        )
    evidence = compare_two(first, second, root=Path.cwd(), margin_percent=chosen.margin)
    try:
        title = f"Is {second} better than {first}?"
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        write_report(evidence, Head(title, "", date), out=out)
    except OSError as error:
        raise InputError(
            f"{out} must be a folder that can be written. Received: {error}. "
            "Name another folder with -o."
        ) from error
    print(f"A is {first}. B is {second}. Differences are B minus A, paired by seed.")
    print("\n".join([*headlines(evidence), *lines(evidence)]))
    for line in cautions.sentences(evidence):
        print(f"Note: {line}")
    print(f"The report is {out / 'report.html'}.")


def sync(_: argparse.Namespace) -> None:
    """Give the results of the current folder their runs in the current MLflow store.

    Raises:
        InputError: there are no results, or the store cannot be reached.
    """
    from lrcycles.stages.sync import sync_results

    count, uri = sync_results(Path.cwd())
    cells = "1 cell is" if count == 1 else f"{count} cells are"
    print(f"{cells} in MLflow at {uri}.")


if __name__ == "__main__":
    sys.exit(main())
