"""The whole pipeline under `mlflow run`: python -m pipelines "train.epochs=3 experiment=quick".

Without overrides `dvc repro`, with them `dvc exp run -S ...`; all stages land in the MLflow run
that `mlflow run` started.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    overrides = [word for argument in arguments for word in shlex.split(argument)]
    if wrong := [word for word in overrides if "=" not in word or word.startswith("-")]:
        print(f"lrcycles: need overrides of the form key=value, got {wrong[0]!r}", file=sys.stderr)
        return 1
    environment = dict(os.environ)
    if run_id := environment.pop("MLFLOW_RUN_ID", None):
        environment["LRCYCLES_PIPELINE"] = environment["LRCYCLES_PIPELINE_RUN"] = run_id
    # dvc.yaml says `python`: it must be this one, whatever the shell's PATH has.
    python = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([python, environment.get("PATH", "")])
    switches = [word for override in overrides for word in ("-S", override)]
    command = ["exp", "run", *switches] if overrides else ["repro"]
    return subprocess.call([sys.executable, "-m", "dvc", *command], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
