"""The stages of the pipeline, each run as `python -m pipelines.STAGE`.

This checkout's src/ comes first on sys.path: queued experiments and `mlflow run` work on copies of
the checkout, and a copy must run its own code and not the installed package.
"""

import signal
import sys
from pathlib import Path
from typing import Any

_starting = sys.argv[0] == "-m"  # else a test or a training process imports the package
if _starting:  # Ctrl-C waits until it is handled
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

if _starting:
    from lrcycles.errors import interruptions

    interruptions.handle(f"lrcycles {sys.orig_argv[-len(sys.argv)].rpartition('.')[2]}")


class _UnknownStage:
    """Names the nearest stage if `python -m pipelines.NAME` finds no NAME."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        package, _dot, stage = name.partition(".")
        if package == __name__ and sys.argv[0] == "-m":  # Python is still looking for NAME
            from lrcycles.stages.command_line import unknown_stage

            sys.exit(f"lrcycles: {unknown_stage(stage)}")


sys.meta_path.append(_UnknownStage)  # the last one: it is asked for what all others did not find
