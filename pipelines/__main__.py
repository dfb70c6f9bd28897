"""Runs the pipeline or a stage with overrides in one argument, as `mlflow run` passes them.

usage: python -m pipelines ["KEY=VALUE ..."]         the whole pipeline
       python -m pipelines STAGE ["KEY=VALUE ..."]   one stage

The whole pipeline is `dvc repro` without overrides, and `dvc exp run -S KEY=VALUE ...` with them.
The MLflow run that `mlflow run` started becomes the parent of the stages' runs. The words in an
argument are split like words in a shell: a value with spaces needs quotes, "data.path='my images'".

stages:   config, data, range_test, bounds, advise, train (with group=baseline, clr or controls),
          report
          `python -m pipelines.STAGE --help` describes one
results:  artifacts/STAGE/; of one stage with overrides: outputs/STAGE/TIME/
examples: python -m pipelines "experiment=quick train.epochs=3"
          python -m pipelines train group=clr "train.epochs=3"
          mlflow run . --env-manager local -P overrides="train.epochs=3"
"""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from lrcycles.errors import Interruption, interruptions
from lrcycles.stages.command_line import HELP, STAGES, is_override, unknown_stage


def main(arguments: list[str]) -> int:
    """Run DVC or a stage on the overrides and return its exit status."""
    try:
        words = [word for argument in arguments for word in shlex.split(argument)]
    except ValueError as error:
        return _refuse(
            f"Every quote must be closed. Received: {' '.join(arguments)} ({error}). Close it."
        )
    if set(words) & set(HELP):
        print((__doc__ or "").strip())
        return 0
    stage = words.pop(0) if words and words[0] in STAGES else None
    if words and "=" not in words[0] and words[0][:1].isalpha():
        return _refuse(unknown_stage(words[0]))
    if wrong := [word for word in words if not is_override(word)]:
        return _refuse(
            f"Overrides must have the form key=value. Received: {wrong[0]!r}. "
            "Write for example train.epochs=3, or see `python -m pipelines --help`."
        )
    if stage is not None:
        return _run([sys.executable, "-m", f"pipelines.{stage}", *words], dict(os.environ))
    environment = dict(os.environ)
    if run_id := environment.pop("MLFLOW_RUN_ID", None):
        environment["LRCYCLES_PIPELINE"] = environment["LRCYCLES_PIPELINE_RUN"] = run_id
    # dvc.yaml runs `python`, which must be this interpreter and not the first on the shell's PATH.
    python = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([python, environment.get("PATH", "")])
    switches = [word for override in words for word in ("-S", override)]
    command = ["exp", "run", *switches] if words else ["repro"]
    return _run([sys.executable, "-m", "dvc", *command], environment)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command and return its exit status; a signal that ends this process interrupts it."""
    interruptions.raised = True
    with subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except Interruption as error:
            for below in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    below.send_signal(signal.SIGINT)  # DVC cleans up after no other signal
            process.wait()
            return error.status


def _refuse(message: str) -> int:
    print(f"lrcycles: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
