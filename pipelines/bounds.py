"""Stage `bounds`: choose base_lr, max_lr, cycles and step_size from the range test's curves."""

from lrcycles import files
from lrcycles.bounds import plots, select
from lrcycles.range_tests.curves import Curves
from lrcycles.stages.run import Run, execute
from lrcycles.stages.stage_runs import log_stage


def main(run: Run) -> None:
    """Select the bounds from the curves and draw them."""
    table = files.read_table(run.input("range_test") / "curves.parquet")
    train = run.config.train
    curves = Curves.from_summary(
        table,
        run.range_test(),
        steps_per_epoch=run.config.data.train_images // train.batch_size,
    )
    chosen = select.select_bounds(
        curves, rule=run.config.bounds.rule.value, cycles=train.cycles, epochs=train.epochs
    ).to_dict()
    chosen["measured_on"] = run.subject()
    files.write_json(run.out / "bounds.json", chosen)
    files.write_figure(run.out / "bounds.png", plots.bounds_on_curve(table, chosen))
    for sentence in [*chosen["reasons"], *chosen["warnings"]]:
        print(sentence)
    log_stage(run.mlflow, "bounds", run.out)


if __name__ == "__main__":
    execute("bounds", main)
