"""Hydra imports this file in the process of `dvc exp run` (see .dvc/config)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from lrcycles.config import compose  # noqa: E402

compose.install_in_dvc(ROOT / "conf")
