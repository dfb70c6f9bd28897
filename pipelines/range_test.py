"""Stage `range_test`: sweep the rate over several seeds and write the curves."""

from functools import partial

from lrcycles import files
from lrcycles.config import plain
from lrcycles.range_tests import kept_sweeps, of_cells, plots
from lrcycles.range_tests.cell_sweep import Sweep
from lrcycles.stages import plan
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage
from lrcycles.training import pool


def main(run: Run) -> None:
    """Sweep every seed and write the curves."""
    data = run.data()
    cells, sweep = plan.sweep_cells(run.config, data=data), sweep_of(run)
    reuse = run.config.train.reuse
    kept = sum(reuse and kept_sweeps.has_all([cell], sweep, run.store) for cell in cells)
    print(f"Finished sweeps in the store: {kept} of {len(cells)}.", flush=True)
    measured = of_cells.measure(
        cells,
        sweep,
        data=run.input("data"),
        workers=run.config.train.workers,
        widen=run.config.range_test.widen,
        store=run.store,
        reuse=reuse,
        announce=partial(print, flush=True),
    )
    table = measured.curves.table
    batch_size = cells[0].batch_size
    summary = of_cells.summary(measured, sweep, batch_size=batch_size, subject=run.subject())
    for note in measured.curves.notes:
        print(note)
    train = run.config.train
    print(measured.price(train.epochs * (run.config.data.train_images // batch_size)))
    files.write_table(run.out / "curves.parquet", table)
    files.write_json(run.out / "range_test.json", summary)
    files.write_figure(run.out / "range_test.png", plots.range_curves(table))
    log_stage(run.mlflow, "range_test", run.out, data=data)


def sweep_of(run: Run) -> Sweep:
    settings = plain.plain(run.config.range_test)
    return Sweep(**{key: settings[key] for key in Sweep.__annotations__})


def warm_up(run: Run) -> bool:
    cells = plan.sweep_cells(run.config, data=run.data())
    if run.config.train.reuse and kept_sweeps.has_all(cells, sweep_of(run), run.store):
        return False
    pool.warm_up(run.config.train.backend.value)
    return True


if __name__ == "__main__":
    execute("range_test", main, warm_up=warm_up)
