"""The command `lrcycles`: what users do with results outside the pipeline."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lrcycles import __version__
from lrcycles.errors import InputError

if TYPE_CHECKING:
    from lrcycles.bounds.opinions import Opinions


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; 0 on success, 1 with one line on a user's mistake."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if getattr(chosen, "epochs", None) and not chosen.steps_per_epoch:
        parser.error("--epochs needs --steps-per-epoch, or their steps are not known")
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except InputError as error:
        print(f"lrcycles: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lrcycles", description=__doc__)
    parser.add_argument("--version", action="version", version=f"lrcycles {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    found = commands.add_parser("suggest", help="bounds from a range test, beside what tools say")
    _about_a_range_test(found)
    found.add_argument("--json", action="store_true", help="print JSON instead of the table")
    found.set_defaults(run=suggest)

    drawn = commands.add_parser("plot", help="draw a range test with every rule's answer, as PNG")
    _about_a_range_test(drawn)
    drawn.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.png",
        help="FILE's name with .png, here, if left out",
    )
    drawn.set_defaults(run=plot)

    compared = commands.add_parser(
        "compare", help="the report of two DVC experiments or MLflow runs, paired by seed"
    )
    compared.description = (
        "A and B are DVC experiments, git revisions, MLflow runs, folders with train/ or "
        "`workspace`; NAME:ARM is one arm of them. Negative differences: B is better."
    )
    compared.add_argument("first", metavar="A")
    compared.add_argument("second", metavar="B")
    compared.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="outputs/compare/A_B if left out"
    )
    compared.add_argument(
        "--margin", type=float, default=0.05, metavar="P", help="equivalence, percentage points"
    )
    compared.set_defaults(run=compare)

    mirrored = commands.add_parser(
        "sync", help="mirror results in files to the MLflow store that lacks them"
    )
    mirrored.set_defaults(run=lambda _: sync(Path.cwd()))
    return parser


def _about_a_range_test(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "FILE holds learning rates and losses: CSV, JSON or parquet, as fastai, Lightning, "
        "torch-lr-finder, ignite, ktrain, Keras or lrcycles leave them."
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--rule", help="for the bounds: ours if left out, smith, thirds, valley ..."
    )
    parser.add_argument("--cycles", type=_count, default=3, metavar="N", help="default: 3")
    parser.add_argument("--steps-per-epoch", type=_count, metavar="N", help="gives step_size")
    parser.add_argument("--epochs", type=_count, metavar="N", help="of the training to come")
    parser.add_argument(
        "--momentum", type=float, metavar="M", help="SGD's or RMSprop's, which our rule needs"
    )
    parser.add_argument(
        "--smoothed-by",
        metavar="TOOL",
        help="whose moving average the losses are, where that is recognised wrongly, or nobody",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"need a whole number from 1 on, got {text}")
    return int(text)


def suggest(chosen: argparse.Namespace) -> None:
    """Print every rule's answer to the range test in a file, and our bounds.

    Raises:
        InputError: the file holds no range test.
    """
    from lrcycles.bounds.opinions import as_text

    opinions = _ask(chosen)
    if chosen.json:
        print(json.dumps({"file": str(chosen.file), **opinions.to_dict()}, indent=2))
    else:
        print(as_text(opinions))


def plot(chosen: argparse.Namespace) -> None:
    """Draw the range test in a file with every rule's answer, and say where.

    Raises:
        InputError: the file holds no range test, or the picture would replace something else.
    """
    out = chosen.output or Path(f"{chosen.file.stem}.png")
    if out.suffix.lower() != ".png":
        raise InputError(f"need a name that ends in .png, got {out}: the picture is a PNG")
    if out.is_dir() or (out.exists() and not _is_png(out)):
        raise InputError(f"{out} is there and no PNG: name another file with -o")
    opinions = _ask(chosen)
    from lrcycles.bounds import answer_plots
    from lrcycles.files import write_figure

    try:
        write_figure(out, answer_plots.answers_on_curve(opinions))
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}): name another") from error
    print(f"{opinions.history}: drawn in {out}")


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89PNG\r\n\x1a\n"


def _ask(chosen: argparse.Namespace) -> Opinions:
    from lrcycles.bounds.opinions import ask_every_rule
    from lrcycles.range_tests.recorded.histories import read_history

    history = read_history(
        chosen.file,
        smoothed_by=chosen.smoothed_by,
        steps_per_epoch=chosen.steps_per_epoch,
        momentum=chosen.momentum,
    )
    return ask_every_rule(history, rule=chosen.rule, cycles=chosen.cycles, epochs=chosen.epochs)


def compare(chosen: argparse.Namespace) -> None:
    """Compare two experiments or runs: print the verdicts, write the report and say where.

    Raises:
        InputError: one of them is unknown, or no arms go together.
    """
    import hashlib
    import re
    from datetime import UTC, datetime

    from lrcycles.evidence.two_sides import compare_two
    from lrcycles.report import build
    from lrcycles.report.cautions import cautions
    from lrcycles.report.wording import judged_pairs

    first, second = chosen.first, chosen.second
    if "$" in first + second:
        raise InputError(
            f"need names without $, which figures take for mathematics, got {first} and {second}: "
            "rename the folder"
        )
    named = re.sub(r"[^\w.-]+", "-", f"{first}_{second}")
    if len(named.encode()) > 200:  # of the 255 that a file system takes
        named = hashlib.sha256(named.encode()).hexdigest()
    out = chosen.output or Path("outputs") / "compare" / named
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is there and no folder: name another with -o")
    evidence = compare_two(first, second, root=Path.cwd(), margin_percent=chosen.margin)
    try:
        build.build_comparison(
            evidence,
            out=out,
            title=f"Is {second} better than {first}?",
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
        )
    except OSError as error:
        raise InputError(f"cannot write {out} ({error}): name another folder with -o") from error
    print("\n".join([*judged_pairs(evidence), *(f"note: {told}" for told in cautions(evidence))]))
    print(f"the report is {out / 'report.html'}")


def sync(root: Path) -> None:
    """Give every cell under artifacts/ and outputs/ a run in the current MLflow store.

    Raises:
        InputError: there are no results, or the store cannot be reached.
    """
    from lrcycles import files
    from lrcycles.cells.result import read_result
    from lrcycles.cells.store import CellStore
    from lrcycles.config import compose, params_file, plain
    from lrcycles.stages.mirror import mirror
    from lrcycles.tracking import runs
    from lrcycles.tracking.store import without_password

    folders = [
        path.parent
        for top in ("artifacts/train", "outputs/train")
        for path in sorted((root / top).glob("[!.]*/**/result.json"))
    ]
    if not folders:
        raise InputError(
            "artifacts/train or outputs/train must hold results. "
            f"Received: the folder {root.name}/ without any. Run `lrcycles sync` in the project's "
            "root, after `dvc repro`."
        )
    needed = [root / "params.yaml", root / "artifacts" / "data" / "data.json"]
    if missing := [path.name for path in needed if not path.exists()]:
        raise InputError(
            f"{' and '.join(missing)} must be there. Received: no such file. Run `dvc repro data`."
        )
    checked = compose.check(params_file.read(needed[0]))
    data = files.read_json(needed[1])
    shared = Path(os.environ.get("DVC_ROOT", root))
    here = [f for f in folders if read_result(f / "result.json").data == data["digest"]]
    if len(here) < len(folders):
        print(f"{len(folders) - len(here)} cells are left out: they were trained on other data.")
    store = CellStore(shared / ".lrcycles" / "cells")
    with runs.start(
        "sync", root=shared, config=plain.flatten(checked), experiment=checked.experiment
    ) as run:
        for folder in here:
            mirror(folder, store=store, run=run, data=data, reused=True)
        for stage in ("range_test", "bounds", "report"):
            if (root / "artifacts" / stage).exists():
                run.log_artifacts(root / "artifacts" / stage, folder=stage)
    uri = without_password(run.store.uri)
    if run.lost:
        raise InputError(
            f"MLflow must answer until the end. Received: no answer from {uri}. "
            "Run `lrcycles sync` again."
        )
    print(f"{len(here)} cells are in MLflow at {uri}")


if __name__ == "__main__":
    sys.exit(main())
