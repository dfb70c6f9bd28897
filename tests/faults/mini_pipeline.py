"""A pipeline of three short stages whose results are fixed, for faults of MLflow.

python -m tests.faults.mini_pipeline STAGE ROOT CELLS [SECONDS]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from lrcycles.errors import InputError
from lrcycles.tracking import runs

STAGES = ("data", "train@clr", "report")
DATA = {
    "name": "tiny",
    "source": "local",
    "sha256": {"train_images": "a" * 64},
    "counts": {"pool": 60, "train": 50, "validation": 10, "test": 20},
    "classes": ["0", "1", "2"],
    "image_shape": [4, 5],
    "digest": "0123456789abcdef" * 4,
}


def main(stage: str, root: Path, cells: Path, seconds: float = 0.0, required: bool = False) -> None:
    """Run a stage as a real one does; its own work takes so many seconds."""
    out = root / "artifacts" / stage.replace("@", "/")
    out.mkdir(parents=True, exist_ok=True)
    config = {"train.epochs": 3, **{f"many.{number}": number for number in range(120)}}
    with runs.start(stage, root=root, config=config, experiment="mini", required=required) as run:
        print("started", flush=True)
        time.sleep(seconds)
        (out / "stage.json").write_text(json.dumps({"stage": stage}))
        (out / "figures").mkdir(exist_ok=True)
        (out / "figures" / "a.png").write_bytes(b"png")
        if stage == "train@clr":
            for cell in sorted(cells.glob("[0-9]*")):
                network = (cell / "model.keras").exists()
                images = cells / "test_images.npy" if network else None
                run.log_cell(cell, params={"epochs": 3}, data=DATA, test_images=images)
            ids = run.cell_ids()
            rows = [f"clr,{number},{ids.get(f'clr/{number}', '')}" for number in (0, 1)]
            (out / "cells.csv").write_text("\n".join(["arm,seed,run_id", *rows]) + "\n")
        run.log_metrics({"error_percent": 1.5, "nothing": None})
        run.log_dataset(DATA)
        run.log_artifacts(out)
        run.describe(f"Stage {stage}.")
        run.name_results(stage)
        if stage == "report":
            run.describe_pipeline("clr is better.", {"a": 1.0}, out / "stage.json")
        run.show_arms(["clr"])


if __name__ == "__main__":
    status = 0
    try:
        main(
            sys.argv[1],
            Path(sys.argv[2]),
            Path(sys.argv[3]),
            float(sys.argv[4]) if len(sys.argv) > 4 else 0.0,
            "required" in sys.argv,
        )
    except InputError as error:
        print(f"lrcycles {sys.argv[1]}: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # as a stage ends
