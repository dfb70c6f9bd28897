"""Runs the whole pipeline under `mlflow run`.

python -m pipelines "train.epochs=3 experiment=quick"

It runs `dvc repro` without overrides and `dvc exp run -S ...` with them. The MLflow run that
`mlflow run` started becomes the parent of the stages' runs.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run DVC on the overrides and return its exit status."""
    overrides = [word for argument in arguments for word in shlex.split(argument)]
    if wrong := [word for word in overrides if "=" not in word or word.startswith("-")]:
        print(
            f"lrcycles: Overrides must have the form key=value. Received: {wrong[0]!r}. "
            "Write for example train.epochs=3.",
            file=sys.stderr,
        )
        return 1
    environment = dict(os.environ)
    if run_id := environment.pop("MLFLOW_RUN_ID", None):
        environment["LRCYCLES_PIPELINE"] = environment["LRCYCLES_PIPELINE_RUN"] = run_id
    # dvc.yaml runs `python`, which must be this interpreter and not the first on the shell's PATH.
    python = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([python, environment.get("PATH", "")])
    switches = [word for override in overrides for word in ("-S", override)]
    command = ["exp", "run", *switches] if overrides else ["repro"]
    return subprocess.call([sys.executable, "-m", "dvc", *command], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
