"""Studies on the cell store, each a DVC pipeline of its own, run from the project's root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
