"""Stage `data`: is it the true data set, split how?"""

from lrcycles import arrays, datasets, plots, results, stage


def main(run: stage.Run) -> None:
    settings = run.config.data
    data = datasets.prepare(**vars(settings), root=run.shared, out=run.out)
    train = arrays.read_sets(run.out, training_set="split").train
    shown = train.first_of_each_class(10)
    digits = plots.sample_digits(train.read(shown), train.labels[shown], settings.classes)
    results.write_figure(run.out / "digits.png", digits)
    balance = plots.class_balance(data["class_counts"], settings.classes)
    results.write_figure(run.out / "classes.png", balance)
    run.mlflow.log_dataset(data)
    run.mlflow.log_metrics({f"{split}_images": n for split, n in data["counts"].items()})
    for name in ("data.json", "digits.png", "classes.png"):
        run.mlflow.log_artifacts(run.out / name)


if __name__ == "__main__":
    stage.execute("data", main)
