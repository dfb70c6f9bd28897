"""Stage `train@GROUP`: train every arm of the group with every seed."""

from dataclasses import asdict
from functools import partial

from lrcycles import files
from lrcycles.cells.cell import Cell
from lrcycles.stages import groups, outlook, plan, remaining
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import arm_names, log_stage
from lrcycles.training import pool
from lrcycles.training.fit import measure_fit


def main(run: Run) -> None:
    """Train the cells that the store lacks and write the results of all."""
    folder, data, cells = run.input("data"), run.data(), cells_of(run)
    settings = run.config.train
    groups.write_plan(cells, settings, data=folder, out=run.out)
    images = folder / "test_images.npy"
    results = groups.Results(settings, run.store, run.out, run.mlflow, data, images)
    reused = groups.train_group(
        cells,
        settings,
        data=folder,
        store=run.store,
        steps_of=partial(remaining.steps_of, run.config),
        later_steps=sum(each.steps for each in count_remaining(run)[1:]),
        on_cell=results.add,
    )
    replay = [cell for cell in cells if cell.training_set == "all"]
    if replay:
        measured = measure_fit(replay, data=folder, store=run.store, reuse=settings.reuse)
        files.write_json(run.out / "fit_epochs.json", [asdict(entry) for entry in measured])
    results.write_table(cells, reused=reused)
    log_stage(run.mlflow, "train", run.out)
    run.mlflow.show_arms(arm_names(run.config))


def cells_of(run: Run) -> list[Cell]:
    assert run.group is not None
    bounds = None if run.group == "baseline" else run.bounds()
    return plan.group_cells(run.config, run.group, data=run.data(), bounds=bounds)


def count_remaining(run: Run) -> list[remaining.Remaining]:
    """Count and print what is left to train in this group, and under DVC in the later ones."""
    assert run.group is not None
    names = [run.group, *(remaining.later(run.group) if outlook.in_pipeline() else [])]
    bounds = run.bounds_if_made()
    counted = [
        remaining.of_group(run.config, name, data=run.data(), bounds=bounds, store=run.store)
        for name in names
    ]
    print(f"Finished trainings in the store: {', '.join(map(str, counted))}.", flush=True)
    return counted


def warm_up(run: Run) -> bool:
    cells = cells_of(run)
    if len(groups.reusable(cells, run.config.train, store=run.store)) == len(cells):
        return False
    pool.warm_up(run.config.train.backend.value)
    return True


if __name__ == "__main__":
    execute("train", main, warm_up=warm_up)
