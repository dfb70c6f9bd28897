"""Stage `train@GROUP`: train every arm of the group with every seed."""

from dataclasses import asdict, replace
from functools import partial

from lrcycles import files
from lrcycles.cells.cell import Cell
from lrcycles.config.resolve import asks_for_advice, with_advice
from lrcycles.stages import groups, outlook, peaks, plan, remaining
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import arm_names, log_stage
from lrcycles.training import pool
from lrcycles.training.fit import measure_fit


def main(run: Run) -> None:
    """Train the cells that the store lacks and write the results of all."""
    run = advised(run)
    assert run.group is not None
    folder, data, settings = run.input("data"), run.data(), run.config.train
    images = folder / "test_images.npy"
    results = groups.Results(settings, run.store, run.out, run.mlflow, data, images)
    bounds, (own, *later) = bounds_of(run), count_remaining(run)
    train = partial(
        groups.train_group,
        settings=settings,
        data=folder,
        store=run.store,
        steps_of=partial(remaining.steps_of, run.config),
        later_steps=sum(each.steps for each in later),
        on_cell=results.add,
    )
    tuning = plan.tuning_cells(run.config, run.group, data=data)
    reused = train(tuning, stage_steps=own.steps - own.tuning_steps)
    choices = peaks.choose(tuning, run.store)
    if choices:
        peaks.need_peaks(choices)
        peaks.write_choices(choices, run.out / "peaks.json")
    chosen = peaks.peaks_of(choices)
    cells = plan.group_cells(run.config, run.group, data=data, bounds=bounds, chosen=chosen)
    groups.write_plan([*tuning, *cells], settings, data=folder, out=run.out)
    reused |= train(cells, stage_steps=0)
    write_fit_epochs(run, cells)
    results.write_tables(cells, tuning, reused=reused)
    log_stage(run.mlflow, "train", run.out)
    run.mlflow.show_arms(arm_names(run.config))


def write_fit_epochs(run: Run, cells: list[Cell]) -> None:
    """Measure epochs of plain Keras `fit` beside a replay."""
    replay = [cell for cell in cells if cell.training_set == "all"]
    if replay:
        reuse = run.config.train.reuse
        measured = measure_fit(replay, data=run.input("data"), store=run.store, reuse=reuse)
        files.write_json(run.out / "fit_epochs.json", [asdict(entry) for entry in measured])


def groups_ahead(run: Run) -> list[str]:
    """Name this group, and under DVC the later ones."""
    assert run.group is not None
    return [run.group, *(remaining.later(run.group) if outlook.in_pipeline() else [])]


def advised(run: Run) -> Run:
    """Fill in the numbers of the advice, if an arm asks for them."""
    arms = [arm for name in groups_ahead(run) for arm in getattr(run.config.arms, name).values()]
    if not any(asks_for_advice(arm) for arm in arms):
        return run
    return replace(run, config=with_advice(run.config, run.advice()))


def bounds_of(run: Run) -> dict[str, object] | None:
    return None if run.group == "baseline" else run.bounds()


def count_remaining(run: Run) -> list[remaining.Remaining]:
    """Count and print what is left to train in this group, and under DVC in the later ones."""
    bounds = run.bounds_if_made()
    counted = [
        remaining.of_group(run.config, name, data=run.data(), bounds=bounds, store=run.store)
        for name in groups_ahead(run)
    ]
    print(f"Finished trainings in the store: {', '.join(map(str, counted))}.", flush=True)
    return counted


def warm_up(run: Run) -> bool:
    run = advised(run)
    assert run.group is not None
    bounds = bounds_of(run)
    left = remaining.of_group(
        run.config, run.group, data=run.data(), bounds=bounds, store=run.store
    )
    if left.in_store == left.trainings:
        return False
    pool.warm_up(run.config.train.backend.value)
    return True


if __name__ == "__main__":
    execute("train", main, warm_up=warm_up)
