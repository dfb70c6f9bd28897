"""Stage `train@GROUP`: what does each arm of the group reach, per seed?"""

from lrcycles import files
from lrcycles.cells.store import CellStore
from lrcycles.stages import groups, plan
from lrcycles.stages.run import Run, execute
from lrcycles.training.pool import warm_up
from lrcycles.training.run import measure_fit


def main(run: Run) -> None:
    assert run.group is not None
    folder, data = run.input("data"), run.data()
    bounds = None if run.group == "baseline" else run.bounds()
    cells = plan.group_cells(run.config, run.group, data=data, bounds=bounds)
    settings = run.config.train
    groups.write_plan(cells, settings, data=folder, out=run.out)
    store = CellStore(run.shared / ".lrcycles" / "cells")
    had = groups.train_group(cells, settings, data=folder, store=store)
    replay = [cell for cell in cells if cell.training_set == "all"]
    if replay:
        files.write_json(run.out / "fit_epochs.json", measure_fit(replay, data=folder))
    groups.collect(cells, settings, had=had, store=store, out=run.out, run=run.mlflow, data=data)
    run.mlflow.log_artifacts(run.out / "cells.csv")


if __name__ == "__main__":
    execute("train", main, warm_up=lambda config: warm_up(config.train.backend.value))
