"""Stage `train@GROUP`: what does each arm of the group reach, per seed?"""

from lrcycles import groups, plan, results, stage
from lrcycles.cells import Store
from lrcycles.training.run import measure_fit


def main(run: stage.Run) -> None:
    assert run.group is not None
    folder = run.input("data")
    data = results.read_json(folder / "data.json")
    bounds = None
    if run.group != "baseline":
        bounds = results.read_json(run.input("bounds") / "bounds.json")
    cells = plan.group_cells(run.config, run.group, data_digest=data["digest"], bounds=bounds)
    settings = run.config.train
    store = Store(run.shared / ".lrcycles" / "cells")
    had = groups.train_group(cells, settings, data=folder, store=store)
    replay = [cell for cell in cells if cell.training_set == "all"]
    if replay:
        results.write_json(run.out / "fit_epochs.json", measure_fit(replay, data=folder))
    groups.collect(cells, settings, had=had, store=store, out=run.out, run=run.mlflow, data=data)
    run.mlflow.log_artifacts(run.out / "cells.csv")


if __name__ == "__main__":
    stage.execute("train", main)
