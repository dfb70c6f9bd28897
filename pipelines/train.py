"""Stage `train@GROUP`: train every arm of the group with every seed."""

from dataclasses import asdict

from lrcycles import files
from lrcycles.stages import groups, plan
from lrcycles.stages.run import Run, execute
from lrcycles.training.fit import measure_fit
from lrcycles.training.pool import warm_up


def main(run: Run) -> None:
    assert run.group is not None
    folder, data = run.input("data"), run.data()
    bounds = None if run.group == "baseline" else run.bounds()
    cells = plan.group_cells(run.config, run.group, data=data, bounds=bounds)
    settings = run.config.train
    groups.write_plan(cells, settings, data=folder, out=run.out)
    reused = groups.train_group(cells, settings, data=folder, store=run.store)
    replay = [cell for cell in cells if cell.training_set == "all"]
    if replay:
        measured = measure_fit(replay, data=folder, store=run.store, reuse=settings.reuse)
        files.write_json(run.out / "fit_epochs.json", [asdict(entry) for entry in measured])
    groups.collect(
        cells, settings, reused=reused, store=run.store, out=run.out, run=run.mlflow, data=data
    )
    run.mlflow.log_artifacts(run.out / "cells.csv")


if __name__ == "__main__":
    execute("train", main, warm_up=lambda config: warm_up(config.train.backend.value))
