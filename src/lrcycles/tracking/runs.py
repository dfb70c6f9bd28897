"""Collects what MLflow shall hold of a stage; losing MLflow loses nothing of the results.

The run of a pipeline is the parent of one run per stage. The run of a stage is the parent of one
run per cell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrcycles.cells.result import CellResult, read_result
from lrcycles.tracking import processes, records, system, writers
from lrcycles.tracking.background import Background
from lrcycles.tracking.networks.models import EXAMPLE_IMAGES
from lrcycles.tracking.points import points_now
from lrcycles.tracking.records import Record
from lrcycles.tracking.store import SETTINGS, environment, open_store, store_uri

_MEASURED = ("range_test", "train")  # stages that use the machine for long
_SEND_SECONDS = 1.0  # cells that are trained meanwhile are sent together
# The steps of a delivery are repeated after a failure. To repeat the creation of a run blindly,
# as the settings of MLflow do, would make two.
_NO_REPEATS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@contextmanager
def start(
    stage: str,
    *,
    root: Path,
    config: Mapping[str, Any],
    experiment: str,
    required: bool = False,
    at_once: bool = True,
) -> Iterator[StageRun]:
    """Mirror a stage to its run below its pipeline's run, and end both when the block ends.

    A thread writes to MLflow. What it has not written when the stage ends is written by the next
    stage or by `lrcycles sync`.

    Args:
        stage: the run's name, such as train@clr.
        root: the project's folder, which holds the default store and the records.
        config: flat; the parameters of the stage's run. The pipeline's run gets those it lacks.
        experiment: name of the file under conf/experiment.
        required: refuse to start if MLflow does not answer.
        at_once: load MLflow, which takes seconds, before the block: the stage waits for something
            else meanwhile. Otherwise MLflow is loaded when there is something to send.

    Raises:
        InputError: the store must be used and cannot be used.
    """
    system.prepare()
    uri = store_uri(root)
    # MLflow would take the run of `mlflow run` for the first run that starts here.
    launched = os.environ.get("MLFLOW_RUN_ID") or os.environ.get("LRCYCLES_PIPELINE_RUN")
    content = records.new_content(
        stage, root=root, config=config, experiment=experiment, launched=launched
    )
    content["pipeline"]["start"] = records.earliest_start(root, content)
    with environment({"MLFLOW_RUN_ID": None}), without_repeats():
        store = open_store(root) if required else None
        record = records.create(root, content)
        record.publish()
        last = stage == "report" or content["pipeline"]["by_hand"]
        deferred = not (required or last) and processes.is_deferrable(stage)
        background = Background(root, uri, record, last=last, deferred=deferred)
        background.store = store
        background.start(at_once=at_once)
        run = StageRun(record, background)
        monitor = None
        if at_once and stage.partition("@")[0] in _MEASURED:
            monitor = system.start_monitor(uri, run.add_sample)
        status = "FAILED"
        try:
            yield run
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if monitor:
                monitor.finish()
            run.end(status)
            background.close(at_once=status != "FINISHED")


@contextmanager
def without_repeats() -> Iterator[None]:
    """For a block, set MLflow's settings and let a failed request fail at once."""
    unset: dict[str, str | None] = dict.fromkeys(_NO_REPEATS)
    with environment(unset), environment(_NO_REPEATS), environment(SETTINGS):
        yield


@dataclass
class StageRun:
    """What MLflow shall hold of a stage.

    The methods keep it in the stage's record, and nothing in them fails if MLflow does.
    """

    record: Record
    background: Background | None = None
    _sent: float = field(default_factory=time.monotonic)

    @property
    def _run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.record.content["run"]
        return run

    def log_metrics(self, metrics: Mapping[str, float | None], *, step: int = 0) -> None:
        """Log numbers; None, infinity and NaN are left out."""
        self._run["points"] += points_now(metrics, step)

    def log_artifacts(self, path: Path, *, folder: str = "") -> None:
        """Log a file, or the content of a folder, as it is now."""
        if not path.exists():  # the caller's mistake
            raise FileNotFoundError(path)
        parts = ["files", folder, *([] if path.is_dir() else [path.name])]
        self.record.keep(path, "/".join(filter(None, parts)))

    def log_dataset(self, data: Mapping[str, Any]) -> None:
        """Log the data set of data.json as the run's input."""
        self.record.content["data"] = dict(data)
        self._run["has_dataset"] = True

    def describe(self, text: str) -> None:
        """Describe the stage's run in Markdown, with the command that repeats it."""
        self._run["later_tags"][writers.NOTE] = self._with_command(text)

    def name_results(self, digest: str) -> None:
        """Tag the run with the digest of its results, by which `lrcycles sync` finds it."""
        self._run["later_tags"][writers.RESULTS] = digest

    def describe_pipeline(self, text: str, metrics: Mapping[str, float], report: Path) -> None:
        """Give the pipeline's run the answer, its headline metrics and the report."""
        pipeline = self.record.content["pipeline"]
        pipeline["note"] = self._with_command(text)
        pipeline["points"] += points_now(metrics, 0)
        pipeline["report"] = report.name
        self.record.keep(report, f"pipeline/{report.name}")

    def _with_command(self, text: str) -> str:
        commit = self._run["tags"].get("mlflow.source.git.commit")
        lines = [f"git checkout {commit}"] if commit else []
        again = "\n".join(["```", *lines, processes.command(), "```"])
        return f"{text}\n\nTo repeat it:\n\n{again}"

    def show_arms(self, arms: Sequence[str]) -> None:
        """Save the view that shows the arms of this pipeline side by side."""
        self.record.content["pipeline"]["arms"] = list(arms)

    def add_sample(self, metrics: Mapping[str, float]) -> None:
        """Log a sample of the use of the machine."""
        self.record.add_sample({"time": round(time.time() * 1000), "metrics": dict(metrics)})
        self.send()

    def use_cell(self, *, key: str, group: str, arm: str) -> None:
        """Count a cell of an earlier run among those of this pipeline."""
        cell = {"key": key, "group": group, "arm": arm}
        if cell not in self.record.content["used"]:
            self.record.content["used"].append(cell)

    def log_cell(
        self,
        folder: Path,
        *,
        params: Mapping[str, Any],
        data: Mapping[str, Any],
        test_images: Path | None = None,
    ) -> None:
        """Give a finished cell a run below the stage's run, unless the store has one.

        Args:
            folder: holds result.json, steps.parquet, correct.npy if the cell finished and, for
                `test_images`, model.keras.
            params: flat; group, arm and seed are added.
            data: the content of data.json.
            test_images: the file of the test set's pixels; with it the network is logged as well.
        """
        result: CellResult = read_result(folder / "result.json")
        content = self.record.content
        name = f"{len(content['cells']):04}"
        kept = ["result.json", "steps.parquet"]
        kept += sorted(path.name for path in folder.glob("correct*.npy"))
        for file in (*kept, *(["model.keras"] if test_images else [])):
            self.record.keep(folder / file, f"cells/{name}/{file}")
        examples = self.record.folder / "examples.npy"
        if test_images and not examples.exists():
            np.save(examples, np.load(test_images, mmap_mode="r")[:EXAMPLE_IMAGES])
        own = {part: getattr(result, part) for part in ("group", "arm", "seed")}
        content["data"] = dict(data)
        content["cells"].append(
            {
                "name": name,
                "key": result.key,
                **own,
                "params": writers.clean_params({**params, **own}),
                "network": test_images is not None,
            }
        )
        if time.monotonic() - self._sent > _SEND_SECONDS:
            self.send()

    def cell_ids(self) -> dict[str, str]:
        """Send the cells to MLflow and name their runs there by ARM/SEED, as far as they exist.

        This waits as long as MLflow answers soon.
        """
        background = self.background
        if background is None or not self.record.content["cells"]:
            return {}
        self.send()
        wanted = len(self.record.content["cells"])
        background.wait(lambda: len(self._cell_ids()) == wanted)
        return self._cell_ids()

    def _cell_ids(self) -> dict[str, str]:
        delivery = self.background and self.background.delivery
        return delivery.cell_ids() if delivery else {}

    def send(self) -> None:
        """Let MLflow have what the record holds by now."""
        self._sent = time.monotonic()
        if self.background:
            self.background.send()

    def refuse(self) -> None:
        """Leave no run: the user's input was wrong, and no work was done."""
        self.record.content["refused"] = True

    def end(self, status: str) -> None:
        """End the stage's run in the record."""
        self._run["status"] = status
        self._run["end"] = round(time.time() * 1000)
        self.record.save()
