"""Stage `bounds`: which base_lr, max_lr, cycles and step_size; by which rule, how sure?"""

from lrcycles import bound_rules, plots, results, stage


def main(run: stage.Run) -> None:
    curves = results.read_table(run.input("range_test") / "curves.parquet")
    initial = run.range_test()["initial_accuracy"]
    train, data = run.config.train, run.config.data
    steps_per_epoch = data.train_images // train.batch_size
    chosen = bound_rules.select_bounds(
        curves,
        rule=run.config.bounds.rule.value,
        initial_accuracy={int(seed): accuracy for seed, accuracy in initial.items()},
        cycles=train.cycles,
        total_steps=train.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
    ).to_dict()
    chosen["measured_on"] = run.subject()
    results.write_json(run.out / "bounds.json", chosen)
    results.write_figure(run.out / "bounds.png", plots.bounds_on_curve(curves, chosen))
    for sentence in [*chosen["reasons"], *chosen["warnings"]]:
        print(sentence)
    run.mlflow.log_metrics({key: chosen[key] for key in ("base_lr", "max_lr", "step_size")})
    run.mlflow.log_artifacts(run.out)


if __name__ == "__main__":
    stage.execute("bounds", main)
