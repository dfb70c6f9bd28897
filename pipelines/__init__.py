"""The stages of the pipeline, each run as `python -m pipelines.STAGE`.

This checkout's src/ comes first on sys.path: queued experiments and `mlflow run` work on copies of
the checkout, and a copy must run its own code and not the installed package.
"""

import signal
import sys
from pathlib import Path

_starting = sys.argv[0] == "-m"  # else a test or a training process imports the package
if _starting:  # Ctrl-C waits until it is handled
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

if _starting:
    from lrcycles.errors import interruptions

    interruptions.handle(f"lrcycles {sys.orig_argv[-len(sys.argv)].rpartition('.')[2]}")
