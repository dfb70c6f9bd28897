"""The stages of the pipeline, each run as `python -m pipelines.STAGE`.

This checkout's src/ comes first on sys.path: queued experiments and `mlflow run` work on copies of
the checkout, and a copy must run its own code and not the installed package.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
