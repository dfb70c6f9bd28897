"""The stages of the pipeline, each run as `python -m pipelines.STAGE`.

This checkout's src/ comes first, whatever is installed: queued experiments and `mlflow run` work on
copies, which must run their own code.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
