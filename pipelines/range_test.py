"""Stage `range_test`: how do loss and held-out accuracy move with the rate, over several seeds?"""

from lrcycles import config, lr_range, plan, plots, results, stage
from lrcycles.training.pool import warm_up


def main(run: stage.Run) -> None:
    data = run.data()
    cells = plan.sweep_cells(run.config, data=data)
    settings = config.plain(run.config.range_test)
    sweep = lr_range.Sweep(**{key: settings[key] for key in lr_range.Sweep.__annotations__})
    found = lr_range.measure(
        cells,
        sweep,
        data=run.input("data"),
        workers=run.config.train.workers,
        widen=run.config.range_test.widen,
    )
    table = found.curves.table
    batch_size = cells[0].batch_size
    summary = lr_range.summary(found, sweep, batch_size=batch_size, subject=run.subject())
    for note in found.curves.notes:
        print(note)
    results.write_table(run.out / "curves.parquet", table)
    results.write_json(run.out / "range_test.json", summary)
    results.write_figure(run.out / "range_test.png", plots.range_curves(table))
    run.mlflow.log_dataset(data)
    run.mlflow.log_metrics({key: summary[key] for key in ("train_seconds", "compile_seconds")})
    run.mlflow.log_artifacts(run.out)


if __name__ == "__main__":
    stage.execute("range_test", main, warm_up=lambda checked: warm_up(checked.train.backend.value))
